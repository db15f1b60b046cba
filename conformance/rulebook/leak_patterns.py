"""Leak patterns: stack traces, paths, SQL, class names and banners in error responses (SEC-2).

Each pattern requires a form that ordinary text does not have, so that «Please select a course from the list» is not
SQL and «/home/settings» is not a file. All of them are bounded: any text is searched in linear time.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote, unquote_plus

from conformance.protocol.exchange import Exchange, Request
from conformance.protocol.strict_json import read_json

__all__ = ["BANNER", "find_leak", "scan"]

TRACE = "a stack trace"
PATH = "a file path"
SQL = "SQL"
SQL_ERROR = "a database's own message"
CLASS = "an exception class"
INTERPRETER = "an interpreter's own message"
CONNECTION = "a connection string"
BANNER = "a banner or debug page"

#: Characters of one response that are searched.
MAX_SCANNED_CHARACTERS = 131_072

_IDENT = r"[\w.`\"\[\]$]{1,80}"
_COMPARED = rf"{_IDENT}\s*(?:=|<>|!=|<|>|(?:not\s+)?in\s*\(|(?:i?like)\s|is\s+(?:not\s+)?null|between\s)"
_SCRIPT = r"(?:php|java|kt|kts|groovy|scala|rb|go|cs|[cm]?[jt]sx?)"


def _alternatives(listed: str) -> tuple[str, ...]:
    """Return the texts of a list that is separated by vertical bars."""
    return tuple(listed.split("|"))


def _any(*patterns: str, flags: int = 0) -> re.Pattern[str]:
    """Return a pattern that matches any of these patterns."""
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), flags)


#: Each kind of leak: its name; texts in lower case of which every match contains at least one, so that most messages
#: need no regular expression; and its pattern.
_PATTERNS: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = (
    (
        TRACE,
        _alternatives('(|:|"|#|<|stack trace|.php on|goroutine'),
        _any(
            # Python
            r"Traceback \(most recent call last\)",
            r"File \"[^\"\n]{1,300}(?:\.pyx?|<\w{1,30}>)\", line \d+",
            # Java, Kotlin, Scala
            r"\bat (?:[\w$.@-]{1,80}//?)?[\w$.<>]{3,160}"
            r"\((?:[\w$-]{1,80}\.(?:java|kt|scala|groovy|clj):\d+|Native Method|Unknown Source)\)",
            # .NET
            r"\bat [A-Z]\w{1,60}(?:\.[\w<>`+,\[\]]{1,60}){2,12}\([^()\n]{0,200}\)",
            r"--- End of (?:inner exception )?stack trace",
            r"\.(?:cs|vb|fs):line \d+",
            # JavaScript
            r"\bat (?:[^\n()]{1,120} )?\(?(?:[^\s()]{1,200}\.[cm]?[jt]sx?|node:[\w/]{2,80}"
            r"|internal/[\w/]{2,80}|<anonymous>):\d+",
            r"\bat (?:Object|Function|Module|Layer|Array|Promise)\.<anonymous>",
            # PHP
            r"#\d+ (?:\{main\}|\[internal function\]|\S{1,200}\.php\(\d+\))",
            r"\.php(?:</b>)? on line (?:<b>)?\d+",
            r"\bPHP (?:Fatal error|Parse error|Warning|Notice|Deprecated):",
            r"\b[Ss]tack ?[Tt]race:\s{0,4}(?:#0|at\s)",
            # Go
            r"\bgoroutine \d+ \[",
            r"\bpanic: runtime error",
            # A line of a source file, whatever the language
            rf"(?<![\w/.:-])[\w./\\-]{{1,160}}\.{_SCRIPT}(?::\d+|\(\d+\))",
        ),
    ),
    (
        PATH,
        _alternatives("/|\\"),
        _any(
            r"(?<![\w.)\]}~:/-])/(?:"
            r"var/(?:www|lib|log|logs|run|tmp|task|cache|folders|opt|app|html|spool|mail|db|containers|snap)\b"
            r"|usr/(?:local|lib|lib64|libexec|share|s?bin|src|include|home)/"
            r"|etc/[\w.-]+"
            r"|tmp/[\w.-]+"
            r"|(?:opt|srv|mnt)/[\w.@-]+"
            r"|home/[\w.@-]+/[\w.@-]+"
            r"|(?:Users|root)/(?!\d+/)[\w.@-]+/[\w.@-]+"
            r"|root/\.\w+"
            r"|(?:Users|home|root)/[\w.-]+\.\w{1,6}\b"
            r"|proc/(?:self|\d+|sys|cpuinfo|meminfo|version|mounts)\b"
            r"|sys/(?:kernel|fs|class|devices|module)\b"
            r"|dev/(?:null|u?random|tty|shm|std(?:in|out|err)|sd[a-z])\b"
            r"|run/(?:secrets|user|lock)/"
            r"|private/(?:var|tmp|etc)/"
            r"|Library/(?:Frameworks|Developer|Python|Java|WebServer|Application Support)/"
            r"|System/Library/"
            r"|nix/store/"
            r"|(?:[\w.@+-]+/){1,12}[\w.@+-]+\.(?:py|pyc|rb|java|class|jar|kt|go|cs|dll|so|sqlite3?|db)\b"
            r")",
            r"\bfile:///?[\w.%/-]+",
            r"(?<![A-Za-z0-9])[A-Za-z]:\\{1,2}"
            r"(?i:Users|Windows|Program Files|ProgramData|inetpub|xampp|wamp|Temp)\b",
            r"(?<![A-Za-z0-9])[A-Za-z]:\\{1,2}[\w.$-][\w .$-]{1,60}\\{1,2}[\w.$-][\w .$-]{1,60}",
            r"(?<![A-Za-z0-9])[A-Za-z]:\\{1,2}[\w.$-][\w .$-]{1,60}\.[A-Za-z]\w{1,4}\b",
            r"(?<![A-Za-z0-9])[A-Z]:/(?:Users|Windows|Program Files|ProgramData|inetpub|xampp|wamp|Temp)\b",
        ),
    ),
    (
        SQL,
        _alternatives("select|insert|delete|table|where|join"),
        _any(
            # Keywords in capitals, as in code. A sentence in capitals («SELECT A COURSE FROM THE LIST») does not
            # match, since it has none of the required characters.
            rf"\bSELECT\s+(?:DISTINCT\s+|TOP\s+\d+\s+)?(?:\*|[^\s,]{{1,80}}\s*,|[^\s]{{0,80}}[a-z_.`\"\[(*])"
            rf"[^;]{{0,400}}?\sFROM\s+{_IDENT}",
            rf"\bSELECT\s[^;]{{1,400}}?\sFROM\s+{_IDENT}(?:\s+(?:AS\s+)?\w+)?\s+WHERE\s+(?i:{_COMPARED})",
            rf"\bINSERT\s+(?:IGNORE\s+)?INTO\s+{_IDENT}\s*(?:\(|VALUES\b|SELECT\b|DEFAULT\b|SET\b)",
            rf"\bDELETE\s+FROM\s+{_IDENT}\s*(?:WHERE\b|;|$)",
            rf"\b(?:CREATE|ALTER|DROP|TRUNCATE)\s+(?:TEMPORARY\s+)?TABLE\s+{_IDENT}",
            rf"\bWHERE\s+(?i:{_COMPARED})",
            rf"\b(?:INNER|LEFT|RIGHT|OUTER|CROSS)\s+(?:OUTER\s+)?JOIN\s+{_IDENT}",
            r"\bUNION\s+(?:ALL\s+)?SELECT\b",
        ),
    ),
    (
        SQL,
        _alternatives("select|insert|update|delete"),
        _any(
            # Keywords in any case, with characters that only a statement has
            rf"\bupdate\s+{_IDENT}\s+set\s+{_IDENT}\s*=",
            rf"\binsert\s+into\s+{_IDENT}\s*(?:\([^()]{{1,400}}\)\s*)(?:values|select)\b",
            rf"\bdelete\s+from\s+{_IDENT}\s+where\s+{_COMPARED}",
            rf"\bselect\s+(?:distinct\s+)?\*\s+from\s+{_IDENT}",
            rf"\bselect\s+(?:count|max|min|sum|avg|coalesce|distinct)\s*\([^;]{{0,300}}?\sfrom\s+{_IDENT}",
            rf"\bselect\s[^;]{{1,400}}?\sfrom\s+{_IDENT}(?:\s+(?:as\s+)?\w+)?\s+where\s+{_COMPARED}",
            r"\bselect\s[^;]{0,300}?[`\"]\w{1,80}[`\"]\.(?:[`\"]\w|\*)[^;]{0,300}?\sfrom\s",
            flags=re.IGNORECASE,
        ),
    ),
    (
        SQL_ERROR,
        _alternatives(
            "sql|mariadb|column|table|duplicate|default value| row|denied for user|deadlock|er_|"
            "syntax|relation|constraint|invalid input|too long for type|unterminated|operator does|"
            "encoding|is aborted|authentication failed for|pg_|no such function|unrecognized token|"
            "database|ora-|pls-|tns-|quoted string|quotation mark|object name|conversion failed|"
            "truncated|conflicted|declare the|overflow|[|could not"
        ),
        _any(
            r"\bSQLSTATE\b",
            # MySQL
            r"You have an error in your SQL syntax",
            r"manual that corresponds to your (?:MySQL|MariaDB)",
            r"(?:MySQL|MariaDB) server (?:has gone away|version)",
            r"Lost connection to MySQL",
            r"Unknown column '[^'\n]{1,120}' in '[^'\n]{1,40}'",
            r"Table '[\w-]{1,64}\.\w{1,64}' doesn't exist",
            r"Duplicate entry '[^'\n]{0,200}' for key",
            r"Column '\w{1,64}' cannot be null",
            r"Field '\w{1,64}' doesn't have a default value",
            r"(?:Data too long|Out of range value|Data truncated) for column '",
            r"Incorrect \w{2,20} value: '[^'\n]{0,200}' for column",
            r"Cannot (?:add or update a child|delete or update a parent) row",
            r"Access denied for user '[^'\n]{0,64}'@'",
            r"Deadlock found when trying to get lock",
            r"\bER_[A-Z]{2,}_[A-Z_]{2,}\b",
            # PostgreSQL
            r"syntax error at (?:or near|end of input)",
            r"relation \"[^\"\n]{1,80}\" does not exist",
            r"column (?:\"[\w.]{1,80}\"|\w{1,64}\.\w{1,64}) (?:of relation \"\w{1,64}\" )?does not exist",
            r"duplicate key value violates",
            r"violates (?:foreign key|check|not-null|unique|exclusion) constraint",
            r"null value in column \"",
            r"invalid input (?:syntax for|value for enum)\s(?:type\s)?\w",
            r"value too long for type character",
            r"unterminated quoted string at",
            r"operator does not exist: \w",
            r"invalid byte sequence for encoding \"",
            r"current transaction is aborted",
            r"password authentication failed for user \"",
            r"\bpg_\w{2,30}\(",
            # SQLite
            r"\bno such (?:table|column|function): \S",
            r"\b(?:UNIQUE|NOT NULL|FOREIGN KEY|CHECK|PRIMARY KEY) constraint failed",
            r"near \"[^\"\n]{0,80}\": syntax error",
            r"\bSQLITE_[A-Z]{2,}",
            r"unrecognized token: \"",
            r"\bSQL logic error",
            r"\bdatabase is locked\b",
            r"attempt to write a readonly database",
            r"too many SQL variables",
            # Oracle
            r"\b(?:ORA|PLS|TNS)-\d{5}\b",
            r"quoted string not properly terminated",
            # SQL Server, ODBC
            r"Unclosed quotation mark after the character string",
            r"Incorrect syntax near (?:the keyword )?'",
            r"Invalid (?:object|column) name '",
            r"Conversion failed when converting",
            r"String or binary data would be truncated",
            r"Violation of (?:PRIMARY|UNIQUE|FOREIGN) KEY constraint",
            r"The (?:INSERT|UPDATE|DELETE|MERGE) statement conflicted with",
            r"Cannot insert (?:the value NULL into column|duplicate key row)",
            r"Must declare the scalar variable",
            r"Arithmetic overflow error converting",
            r"\[(?:Microsoft|ODBC|SQL Server|FreeTDS|unixODBC)[^\]\n]{0,60}\]",
            # Others
            r"\bE11000 duplicate key",
            r"could not (?:execute|extract|prepare) (?:statement|query|ResultSet)",
            r"\bbad SQL grammar\b",
        ),
    ),
    (
        CLASS,
        _alternatives(
            "error|exception|::|\\|org.|java|jakarta.|kotlin.|com.|system.|microsoft.|werkzeug.|"
            "django.|sqlalchemy.|psycopg|pymongo.|rest_framework."
        ),
        _any(
            # Qualified, with dots: Java, Python, .NET
            r"(?<![\w.])(?:[A-Za-z_]\w{0,40}\.){1,10}[A-Z]\w{0,80}(?:Exception|Error)\b",
            r"(?<![\w.])org\.(?:springframework|hibernate|apache|postgresql|eclipse|jboss)\.\w",
            r"(?<![\w.])(?:javax?|jakarta|kotlin)\.(?:lang|util|io|sql|net|time|math|servlet|persistence)\.\w",
            r"(?<![\w.])com\.(?:fasterxml|mysql|sun|zaxxer)\.\w",
            r"(?<![\w.])System\.(?:Int16|Int32|Int64|String|Guid|DateTime|Boolean|Decimal|Object"
            r"|(?:Collections|Text|Net|Data|IO|Linq|Threading|Web|Reflection|Runtime)\.[A-Z])\w*",
            r"(?<![\w.])Microsoft\.(?:AspNetCore|EntityFrameworkCore|Data|Extensions)\.\w",
            r"(?<![\w.])(?:werkzeug\.exceptions|django\.(?:core|db|http|urls|utils|template)"
            r"|sqlalchemy\.(?:exc|orm|engine)|psycopg2?\.|pymongo\.errors|rest_framework\.exceptions)\b\.?\w",
            # Qualified, with backslashes: PHP
            r"(?<![\w\\])\\{0,2}(?:[A-Z]\w{1,60}\\{1,2}){1,8}[A-Z]\w{0,60}(?:Exception|Error)\b",
            r"(?<![\w\\])\\{0,2}(?:App|Illuminate|Symfony|Doctrine|Zend|Laminas|Yii|yii|GuzzleHttp|Cake|CodeIgniter"
            r"|Monolog|Psr|Slim|Phalcon)\\{1,2}[A-Za-z]\w",
            # Qualified, with colons: Ruby
            r"\b(?:ActiveRecord|ActionController|ActiveModel|ActionView|ActionDispatch|PG|Mysql2|SQLite3|Sequel"
            r"|Mongoid|Rack|Puma|Sinatra)::[A-Z]\w",
            r"\b(?:[A-Z]\w{1,40}::){1,6}[A-Z]\w{0,60}(?:Error|Exception)\b",
            # Alone
            r"\b[A-Z][A-Za-z0-9_]{2,80}Exception\b",
            r"\b(?:Type|Value|Key|Attribute|Index|Name|ZeroDivision|UnicodeDecode|UnicodeEncode|Unicode|Recursion"
            r"|Assertion|NotImplemented|Import|ModuleNotFound|OS|IO|Permission|FileNotFound|ConnectionRefused"
            r"|ConnectionReset|BrokenPipe|Timeout|JSONDecode|Integrity|Operational|Programming|Interface|Overflow"
            r"|Memory|UnboundLocal|Syntax|Indentation|Lookup|Runtime|Reference|Range|Eval|URI|Aggregate|Mongo"
            r"|MongoServer|Cast|StackOverflow|OutOfMemory|NoClassDefFound|NoSuchMethod|NoSuchField|Linkage"
            r"|ExceptionInInitializer|AbstractMethod|NoMethod|Argument|ArgumentCount|Parse|DivisionByZero"
            r"|UnhandledMatch|PrismaClientKnownRequest|PrismaClientValidation|SequelizeDatabase"
            r"|SequelizeUniqueConstraint|SequelizeValidation|Standard|Frozen)Error\b",
        ),
    ),
    (
        INTERPRETER,
        _alternatives(
            "undefined|null|object|operand|required|unexpected keyword|out of range|exceeded|"
            "call to|trying to|exhausted|maximum|invoke|deserialize|cast to|nil |unmarshal|nested"
        ),
        _any(
            r"Cannot read propert(?:y|ies) (?:'[^'\n]{1,60}' )?of (?:undefined|null)\b",
            r"\b(?:undefined|null) is not (?:a function|an object|iterable)\b",
            r"'\w{1,60}' object (?:has no attribute|is not (?:subscriptable|iterable|callable))",
            r"\bobject has no attribute '",
            r"unsupported operand type\(s\)",
            r"missing \d+ required (?:positional|keyword-only) arguments?",
            r"got an unexpected keyword argument",
            r"\b(?:list|string|tuple) index out of range\b",
            r"maximum recursion depth exceeded",
            r"Maximum call stack size exceeded",
            r"\bUndefined (?:index|variable|array key|offset|property)[: ]\s?[$\"'\w]",
            r"Call to (?:a member function|undefined (?:function|method)) \w",
            r"Trying to (?:get property|access array offset)",
            r"Allowed memory size of \d+ bytes exhausted",
            r"Maximum execution time of \d+ seconds",
            r"Cannot invoke \"[^\"\n]{1,200}\" because \"",
            r"Cannot deserialize (?:value|instance) of type",
            r"\bcannot be cast to (?:class )?[\w$]{1,40}\.",
            r"invalid memory address or nil pointer",
            r"\bcannot unmarshal \w+ into Go\b",
            r"undefined (?:local variable or )?method [`'][^`'\n]{1,60}[`'] for",
            r"Object reference not set to an instance of an object",
            r"\bnested exception is\b",
        ),
    ),
    (
        CONNECTION,
        _alternatives("://|thin:"),
        _any(
            r"\b(?:jdbc:\w{2,20}(?::\w+)?|postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|sqlite)"
            r":(?://|thin:)[^\s\"'<>]{3,120}",
        ),
    ),
    (
        BANNER,
        _alternatives(
            "/|version:|(r)|<|debug|whitelabel|whoops|server error in|action controller|symfony exception"
        ),
        _any(
            r"\b(?:nginx|openresty|Apache|Tomcat|Apache-Coyote|Jetty|Microsoft-IIS|Microsoft-HTTPAPI|IIS|Werkzeug"
            r"|gunicorn|[Uu]vicorn|[Hh]ypercorn|lighttpd|Caddy|PHP|CPython|Python|Express|Kestrel|WildFly|JBoss"
            r"|JBoss-EAP|GlassFish|WebLogic|Undertow|[Pp]assenger|[Pp]uma|WEBrick|Thin|mod_\w+|OpenSSL"
            r"|Django|Flask|Laravel|Symfony|Rails|Spring|ASP\.NET|Node\.js|node|CherryPy|TornadoServer"
            r"|TwistedWeb|aiohttp|Starlette|FastAPI|WSGIServer|SimpleHTTP|BaseHTTP|CakePHP|CodeIgniter|Cowboy"
            r"|Zend|Yii|HHVM|libcurl|Servlet)/v?\d+(?:\.\d+)[\w.]*",
            r"\bASP\.NET Version:",
            r"\.NET Framework Version:",
            r"Microsoft \(R\) ",
            r"<address>[^<]{0,120} Server at ",
            r"Werkzeug Debugger",
            r"debugger caught an exception in your WSGI application",
            r"You're seeing this error because you have <code>DEBUG",
            r"\bDjango Version:",
            r"Whitelabel Error Page",
            r"no explicit mapping for /error",
            r"Whoops, looks like something went wrong",
            r"Server Error in '[^'\n]{0,80}' Application",
            r"Action Controller: Exception caught",
            r"Symfony Exception\b",
            r"<title>phpinfo\(\)",
        ),
    ),
)

_URL = re.compile(r"\bhttps?://[^\s\"'<>]{1,2000}")
_INVISIBLE_ELEMENT = re.compile(r"<(script|style)\b", re.IGNORECASE)
_LINKS = re.compile(
    r"\b(?:href|src|action|content)\s*=\s*(?:\"[^\"]{0,2000}\"|'[^']{0,2000}')", re.IGNORECASE
)


def scan(text: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, evidence) for each leak in a text."""
    if "://" in text:
        text = _URL.sub("(address)", text)
    lowered = text.lower()
    for kind, needed, pattern in _PATTERNS:
        if any([piece in lowered for piece in needed]):  # noqa: C419  (a generator costs twice the time)
            for found in pattern.finditer(text):
                yield kind, found.group()


@lru_cache(maxsize=2048)
def _is_clean(text: str) -> bool:
    """Return whether a text has no leak; results are cached."""
    return next(scan(text), None) is None


def _clean(text: str) -> bool:
    """Return whether a text has no leak; only results for short texts, which are often repeated, are cached."""
    return _is_clean(text) if len(text) <= 400 else next(scan(text), None) is None


def _strings(value: object) -> Iterator[str]:
    """Yield every string in a JSON value, including member names."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            stack.extend(item.values())
            stack.extend(item)
        elif isinstance(item, list):
            stack.extend(item)


def _texts(exchange: Exchange) -> Iterator[str]:
    """Yield the texts of a response that a person may see."""
    read = exchange.json
    if read.error is None:
        left = MAX_SCANNED_CHARACTERS
        for text in _strings(read.value):
            if len(text) > 4:
                yield text[:left]
                left -= len(text)
                if left <= 0:
                    return
    elif exchange.response is not None and exchange.response.body:
        page = exchange.response.body[:MAX_SCANNED_CHARACTERS].decode("utf-8", "replace")
        if "<" in page:
            page = _LINKS.sub("", _visible(page))
        yield html.unescape(page).replace("\\/", "/")


def _visible(page: str) -> str:
    """Return a page without its scripts and styles: the code of a library reveals nothing about the server."""
    lowered = page.lower()
    if len(lowered) != len(page):
        return page
    parts = []
    position = 0
    while found := _INVISIBLE_ELEMENT.search(page, position):
        end = lowered.find(f"</{found.group(1).lower()}", found.end())
        if end < 0:
            break
        parts.append(page[position : found.start()])
        position = end
    return "".join(parts) + page[position:]


def find_leak(exchange: Exchange) -> tuple[str, str] | None:
    """Return (kind, evidence) of the first leak in a response, or None.

    Text of the request that the response only repeats is not a leak. Neither is the banner of a proxy that refuses a
    malformed request.
    """
    sent_texts: tuple[str, ...] | None = None
    for text in _texts(exchange):
        if _clean(text):
            continue
        if sent_texts is None:
            sent_texts = tuple(_request_texts(exchange.request))
            sent_text = _plain("\n".join(sent_texts))
        for kind, evidence in scan(_without_echoes(text, sent_texts)):
            if kind == BANNER and not exchange.request.well_formed:
                continue
            if _plain(evidence) not in sent_text:
                return kind, evidence
    return None


def _request_texts(request: Request) -> Iterator[str]:
    """Yield every text of a request, as it was sent and as a server may decode it."""
    url = request.url
    once = unquote(url)
    yield from (url, once, unquote(once), unquote_plus(url))
    path = "/" + url.partition("://")[2].partition("/")[2]
    yield from (path, unquote(path))
    for name, value in request.headers:
        yield name
        yield value
        if not value.isascii():
            yield value.encode("latin-1", "replace").decode("utf-8", "replace")
    if not request.body and not request.raw:
        return
    for data in (request.body, request.raw):
        if data:
            text = data.decode("utf-8", "replace")
            yield text
            if "%" in text:
                yield unquote_plus(text)
    read = read_json(request.body)
    if read.error is None:
        yield from _strings(read.value)
    elif b"\\u" in request.body:
        yield _ESCAPE.sub(lambda m: chr(int(m.group(1), 16)), request.body.decode("utf-8", "replace"))


_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_QUOTING = str.maketrans("", "", "\\\r\n\t ")


def _plain(text: str) -> str:
    """Return a text without differences of quoting, line breaks, white space and case."""
    return text.translate(_QUOTING).casefold()


def _without_echoes(text: str, sent_texts: tuple[str, ...]) -> str:
    """Return a text with each repeated text of the request replaced by a neutral word.

    This avoids false findings where repeated text only looks like a leak together with the words around it. Single
    words are not replaced: they are not a leak by themselves, and «Cannot read properties of undefined» is one, even
    if the request contained «read».
    """
    echoes = {part for part in sent_texts if 3 <= len(part) <= 8192 and not part.isalnum() and part in text}
    for part in sorted(echoes, key=len, reverse=True)[:50]:
        text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", "x", text)
    return text
