// A naive first version of the notes service on Express. MEND=json,login,… mends one defect for each word.
'use strict';
const crypto = require('crypto');
const express = require('express');

const mended = new Set((process.env.MEND || '').split(',').filter(Boolean));
const mend = (word) => mended.has(word);
const app = express();

if (mend('headers')) {
  app.disable('x-powered-by');
  app.use((req, res, next) => {
    res.set({ 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-store' });
    next();
  });
}
if (mend('etag')) app.set('etag', false);
app.use(express.json({
  ...(mend('size') ? { limit: '5mb' } : {}),
  ...(mend('type') ? { type: () => true } : {}),
}));

const users = [
  { userId: 1, email: 'ann@example.com', password: 'ann-Secret-1', roles: ['user'] },
  { userId: 2, email: 'bo@example.com', password: 'bo-Secret-2', roles: ['user'] },
  { userId: 3, email: 'root@example.com', password: 'root-Secret-3', roles: ['user', 'admin'] },
];
const sessions = new Map();
const notes = new Map();
let lastNote = 0;

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}
const ok = (res, data) => res.json({ isError: false, errMsg: null, data });
const shownUser = (user) => ({ userId: user.userId, email: user.email, roles: user.roles });

const rules = {
  title: { type: 'string', min: 1, max: 100 },
  text: { type: 'string', max: 2000 },
  priority: { type: 'integer', min: 1, max: 5 },
  pinned: { type: 'boolean' },
  tags: { type: 'array', max: 10 },
  noteId: { type: 'integer', min: 1 },
  query: { type: 'string', max: 100 },
  identity: { type: 'string' },
  credential: { type: 'string' },
};
const length = (text) => [...text].length;
function valid(rule, value) {
  if (rule.type === 'string') return typeof value === 'string' && length(value) >= (rule.min || 0) && length(value) <= (rule.max || Infinity);
  if (rule.type === 'integer') return Number.isInteger(value) && value >= (rule.min || 0) && value <= (rule.max || Infinity);
  if (rule.type === 'boolean') return typeof value === 'boolean';
  return Array.isArray(value) && value.length <= rule.max && value.every((tag) => typeof tag === 'string' && length(tag) >= 1 && length(tag) <= 30);
}
function check(data, known) {
  if (!mend('types')) return;
  for (const name of known) {
    if (name in data && !valid(rules[name], data[name])) throw new Refusal(400, `${name} is not valid`);
  }
}
function need(data, name) {
  if (data[name] === undefined && (mend('required') || mend('types'))) throw new Refusal(400, `${name} is required`);
}

function login(req, res, data) {
  need(data, 'identity'); need(data, 'credential');
  check(data, ['identity', 'credential']);
  const user = users.find((each) => each.email === data.identity && each.password === data.credential);
  if (!user && mend('login')) throw new Refusal(401, 'Wrong e-mail or password');
  const sessionId = crypto.randomBytes(24).toString('hex');
  sessions.set(sessionId, user.userId);
  ok(res, { sessionId });
}
function note(data, user) {
  need(data, 'noteId');
  check(data, ['noteId']);
  const found = notes.get(Number(data.noteId));
  if (!found && mend('missing')) throw new Refusal(404, 'No such note');
  if (found && found.ownerId !== user.userId) throw new Refusal(404, 'No such note');
  return found;
}
const shown = ({ noteId, title, text, priority, pinned, tags }) => ({ noteId, title, text, priority, pinned, tags });
const FIELDS = ['title', 'text', 'priority', 'pinned', 'tags'];

function paged(req, rows) {
  let { pageStart, pageLength } = req.body;
  if (mend('paging')) {
    for (const value of [pageStart, pageLength]) {
      if (value !== undefined && value !== null && !(Number.isInteger(value) && value >= 0)) throw new Refusal(400, 'paging is not valid');
    }
    pageStart = pageStart || 0;
    return pageLength === undefined || pageLength === null ? rows.slice(pageStart) : rows.slice(pageStart, pageStart + pageLength);
  }
  return pageLength ? rows.slice(pageStart || 0, (pageStart || 0) + pageLength) : rows;
}

const functions = {
  'auth.login': { open: true, run: login },
  'auth.logout': { run(req, res) { sessions.delete(req.get('Token')); ok(res, {}); } },
  'auth.status': { run(req, res, data, user) { ok(res, { user: shownUser(user) }); } },
  'user.find': { admin: true, run(req, res) { ok(res, { users: paged(req, users.map(shownUser)) }); } },
  'note.create': {
    run(req, res, data, user) {
      need(data, 'title');
      check(data, FIELDS);
      const made = { noteId: ++lastNote, ownerId: user.userId, title: data.title, text: data.text ?? '', priority: data.priority ?? 3, pinned: data.pinned ?? false, tags: data.tags ?? [] };
      notes.set(made.noteId, made);
      ok(res, { noteId: made.noteId });
    },
  },
  'note.read': { run(req, res, data, user) { ok(res, { note: shown(note(data, user)) }); } },
  'note.update': {
    run(req, res, data, user) {
      const found = note(data, user);
      check(data, FIELDS);
      for (const name of FIELDS) if (data[name] !== undefined) found[name] = data[name];
      ok(res, { note: shown(found) });
    },
  },
  'note.delete': { run(req, res, data, user) { notes.delete(note(data, user).noteId); ok(res, {}); } },
  'note.find': {
    run(req, res, data, user) {
      check(data, ['query']);
      const query = data.query ?? '';
      const rows = [...notes.values()].filter((each) => each.ownerId === user.userId && each.title.includes(query));
      ok(res, { notes: paged(req, rows.map(shown)) });
    },
  },
};

const entities = new Set(Object.keys(functions).map((name) => name.split('.')[0]));
app.post('/api/:entity', (req, res, next) => {
  if (!entities.has(req.params.entity)) return next();
  let body = req.body;
  if (mend('body') && (typeof body !== 'object' || body === null || Array.isArray(body))) throw new Refusal(400, 'The body is not an object');
  if (mend('body') && (typeof body.method !== 'string')) throw new Refusal(400, 'method is missing');
  const called = `${req.params.entity}.${body.method}`;
  const wanted = Object.hasOwn(functions, called) ? functions[called] : undefined;
  if (!wanted) {
    if (mend('unknown')) throw new Refusal(404, "Function doesn't exist");
    return res.json({ isError: true, errMsg: 'Unknown function', data: null });
  }
  let user = null;
  if (!wanted.open) {
    const token = req.get('Token');
    if (!sessions.has(token)) throw new Refusal(401, 'Not logged in');
    user = users.find((each) => each.userId === sessions.get(token));
    if (wanted.admin && !user.roles.includes('admin')) throw new Refusal(403, 'Admins only');
  }
  let data = body.data;
  if (mend('data')) {
    data = data ?? {};
    if (typeof data !== 'object' || Array.isArray(data)) throw new Refusal(400, 'data is not an object');
  }
  wanted.run(req, res, data, user);
});

if (mend('route')) app.use((req, res) => res.status(404).json({ isError: true, errMsg: 'Not found', data: null }));
app.use((err, req, res, next) => {
  if (err instanceof Refusal) return res.status(err.status).json({ isError: true, errMsg: err.message, data: null });
  if (mend('json')) {
    const status = err.status >= 400 && err.status < 500 ? err.status : 500;
    return res.status(status === 415 ? 400 : status).json({ isError: true, errMsg: status < 500 ? 'The body is not JSON' : 'Something went wrong', data: null });
  }
  next(err);
});
const server = app.listen(Number(process.env.PORT || 0), '127.0.0.1', () => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}/api/` }));
});
