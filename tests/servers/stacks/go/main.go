// A naive first version of the notes service on net/http. MEND=json,login,… mends one defect for each word.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"unicode/utf8"
)

var mended = map[string]bool{}

type user struct {
	UserID   int      `json:"userId"`
	Email    string   `json:"email"`
	Password string   `json:"-"`
	Roles    []string `json:"roles"`
}

type note struct {
	NoteID   int `json:"noteId"`
	owner    int
	Title    string   `json:"title"`
	Text     string   `json:"text"`
	Priority int      `json:"priority"`
	Pinned   bool     `json:"pinned"`
	Tags     []string `json:"tags"`
}

type call struct {
	Method     string          `json:"method"`
	Data       json.RawMessage `json:"data"`
	PageStart  int             `json:"pageStart"`
	PageLength int             `json:"pageLength"`
}

type arguments struct {
	Identity   string    `json:"identity"`
	Credential string    `json:"credential"`
	NoteID     int       `json:"noteId"`
	Title      *string   `json:"title"`
	Text       *string   `json:"text"`
	Priority   *int      `json:"priority"`
	Pinned     *bool     `json:"pinned"`
	Tags       *[]string `json:"tags"`
	Query      string    `json:"query"`
}

var (
	lock     sync.Mutex
	sessions = map[string]*user{}
	notes    = map[int]*note{}
	lastNote int
	lastID   int
	users    = []*user{
		{1, "ann@example.com", "ann-Secret-1", []string{"user"}},
		{2, "bo@example.com", "bo-Secret-2", []string{"user"}},
		{3, "root@example.com", "root-Secret-3", []string{"user", "admin"}},
	}
)

func ok(w http.ResponseWriter, data interface{}) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]interface{}{"isError": false, "errMsg": nil, "data": data})
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]interface{}{"isError": true, "errMsg": message, "data": nil})
}

func broken(w http.ResponseWriter, err error) {
	if mended["json"] {
		refuse(w, 400, "The body is not a call")
		return
	}
	http.Error(w, err.Error(), http.StatusBadRequest)
}

func paged(c call, count int) (int, int) {
	start, end := c.PageStart, count
	if start > count {
		start = count
	}
	if c.PageLength > 0 && start+c.PageLength < end {
		end = start + c.PageLength
	}
	return start, end
}

func handle(w http.ResponseWriter, r *http.Request) {
	if mended["headers"] {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
	}
	entity := strings.TrimPrefix(r.URL.Path, "/api/")
	known := entity == "auth" || entity == "user" || entity == "note"
	if !known || (r.Method != "POST" && mended["verb"]) {
		if mended["route"] {
			refuse(w, 404, "There is no such endpoint")
			return
		}
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		broken(w, err)
		return
	}
	var c call
	if err := json.Unmarshal(body, &c); err != nil {
		broken(w, err)
		return
	}
	if mended["paging"] && (c.PageStart < 0 || c.PageLength < 0) {
		refuse(w, 400, "paging is not valid")
		return
	}
	lock.Lock()
	defer lock.Unlock()
	run(w, r, entity+"."+c.Method, c)
}

func run(w http.ResponseWriter, r *http.Request, function string, c call) {
	var a arguments
	if len(c.Data) > 0 {
		if err := json.Unmarshal(c.Data, &a); err != nil {
			broken(w, err)
			return
		}
	}
	caller := sessions[r.Header.Get("Token")]
	if function == "auth.login" {
		login(w, a)
		return
	}
	known := map[string]bool{"auth.logout": true, "auth.status": true, "user.find": true, "note.create": true,
		"note.read": true, "note.update": true, "note.delete": true, "note.find": true}
	if !known[function] {
		if mended["unknown"] {
			refuse(w, 404, "Function doesn't exist")
		} else {
			ok(w, map[string]interface{}{})
		}
		return
	}
	if caller == nil {
		if mended["session"] {
			refuse(w, 401, "Not logged in")
		} else {
			refuse(w, 403, "Not logged in")
		}
		return
	}
	switch function {
	case "auth.logout":
		delete(sessions, r.Header.Get("Token"))
		ok(w, map[string]interface{}{})
	case "auth.status":
		ok(w, map[string]interface{}{"user": caller})
	case "user.find":
		if len(caller.Roles) < 2 {
			refuse(w, 403, "Admins only")
			return
		}
		start, end := paged(c, len(users))
		ok(w, map[string]interface{}{"users": users[start:end]})
	case "note.find":
		rows := []*note{}
		for _, each := range notes {
			if each.owner == caller.UserID && strings.Contains(each.Title, a.Query) {
				rows = append(rows, each)
			}
		}
		sort.Slice(rows, func(i, j int) bool { return rows[i].NoteID < rows[j].NoteID })
		start, end := paged(c, len(rows))
		ok(w, map[string]interface{}{"notes": rows[start:end]})
	default:
		oneNote(w, function, a, caller)
	}
}

func login(w http.ResponseWriter, a arguments) {
	for _, each := range users {
		if each.Email == a.Identity && each.Password == a.Credential {
			lastID++
			id := fmt.Sprintf("s%08d", lastID)
			if mended["random"] {
				bytes := make([]byte, 24)
				rand.Read(bytes)
				id = hex.EncodeToString(bytes)
			}
			sessions[id] = each
			ok(w, map[string]interface{}{"sessionId": id})
			return
		}
	}
	if mended["login"] {
		refuse(w, 401, "Wrong e-mail or password")
	} else {
		refuse(w, 500, "no such user")
	}
}

func invalid(a arguments) bool {
	long := func(text *string, most int) bool { return text != nil && utf8.RuneCountInString(*text) > most }
	if a.Title != nil && *a.Title == "" || long(a.Title, 100) || long(a.Text, 2000) || long(&a.Query, 100) {
		return true
	}
	if a.Priority != nil && (*a.Priority < 1 || *a.Priority > 5) {
		return true
	}
	return a.Tags != nil && len(*a.Tags) > 10
}

func oneNote(w http.ResponseWriter, function string, a arguments, caller *user) {
	if mended["bounds"] && invalid(a) {
		refuse(w, 400, "An argument is out of its bounds")
		return
	}
	if function == "note.create" {
		if a.Title == nil && mended["required"] {
			refuse(w, 400, "title is required")
			return
		}
		lastNote++
		made := &note{NoteID: lastNote, owner: caller.UserID, Priority: 3, Tags: []string{}}
		notes[lastNote] = made
		change(made, a)
		ok(w, map[string]interface{}{"noteId": made.NoteID})
		return
	}
	if a.NoteID == 0 && mended["required"] {
		refuse(w, 400, "noteId is required")
		return
	}
	found := notes[a.NoteID]
	if mended["missing"] && found == nil {
		refuse(w, 404, "No such note")
		return
	}
	if mended["owner"] && found.owner != caller.UserID {
		refuse(w, 404, "No such note")
		return
	}
	if function == "note.update" {
		change(found, a)
	}
	if function == "note.delete" {
		delete(notes, found.NoteID)
		ok(w, map[string]interface{}{})
		return
	}
	shown := *found
	ok(w, map[string]interface{}{"note": shown})
}

func change(found *note, a arguments) {
	if a.Title != nil {
		found.Title = *a.Title
	}
	if a.Text != nil {
		found.Text = *a.Text
	}
	if a.Priority != nil {
		found.Priority = *a.Priority
	}
	if a.Pinned != nil {
		found.Pinned = *a.Pinned
	}
	if a.Tags != nil {
		found.Tags = *a.Tags
	}
}

func main() {
	for _, word := range strings.Split(os.Getenv("MEND"), ",") {
		mended[word] = true
	}
	log.SetOutput(io.Discard)
	port := os.Getenv("PORT")
	if port == "" {
		port = "0"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	fmt.Printf("{\"url\": \"http://%s/api/\"}\n", listener.Addr())
	http.HandleFunc("/api/", handle)
	http.Serve(listener, nil)
}
