// Package static serves a folder of files over HTTP: ranges, compression, entity
// tags, and one page for all paths where asked. Dot files and what lies outside
// the folder are never served.
package static

import (
	"fmt"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"time"
)

// Options choose how a folder is served.
type Options struct {
	SPA bool // unknown paths answer with the root's index.html, for apps that route in the browser
}

// Handler serves one folder, which may change under it.
type Handler struct {
	root *os.Root
	opts Options
	mu   sync.Mutex // guards tags
	tags map[string]tag
}

// New opens a folder. It is an error when there is none.
func New(dir string, opts Options) (*Handler, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the files: %w", err)
	}
	return &Handler{root: root, opts: opts, tags: map[string]tag{}}, nil
}

// ServeHTTP answers GET and HEAD.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are served here", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	name, ok := h.find(r.URL.Path)
	switch {
	case ok && isFolder(name) && !strings.HasSuffix(r.URL.Path, "/"):
		redirect(w, r)
	case ok:
		h.file(w, r, strings.TrimSuffix(name, "/")+suffix(name), http.StatusOK)
	case h.opts.SPA && r.URL.Path != "/" && wantsPage(r):
		h.file(w, r, "index.html", http.StatusOK)
	default:
		h.missing(w, r)
	}
}

func isFolder(name string) bool { return strings.HasSuffix(name, "/") }

func suffix(name string) string {
	if isFolder(name) {
		return "/index.html"
	}
	return ""
}

// find returns the file of a URL path, or, ending in a slash, the folder whose
// index.html is meant.
func (h *Handler) find(urlPath string) (string, bool) {
	if !servable(urlPath) {
		return "", false
	}
	name := strings.TrimPrefix(path.Clean("/"+urlPath), "/")
	if name == "" {
		name = "."
	}
	info, err := h.root.Stat(name)
	if err != nil {
		return "", false
	}
	if info.IsDir() {
		index, err := h.root.Stat(path.Join(name, "index.html"))
		return name + "/", err == nil && index.Mode().IsRegular()
	}
	// "/page.html/" is no file.
	return name, info.Mode().IsRegular() && !strings.HasSuffix(urlPath, "/")
}

// servable refuses what is hidden and what could mean another path to someone
// else: dot files, backslashes, control characters.
func servable(p string) bool {
	for _, r := range p {
		if r < ' ' || r == 0x7f || r == '\\' {
			return false
		}
	}
	for part := range strings.SplitSeq(p, "/") {
		if strings.HasPrefix(part, ".") && part != ".well-known" {
			return false
		}
	}
	return true
}

// redirect sends to the path with a slash, so that links relative to it work.
// It starts with exactly one slash: two would name another host.
func redirect(w http.ResponseWriter, r *http.Request) {
	to := "/" + strings.TrimLeft(r.URL.EscapedPath(), "/") + "/"
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusMovedPermanently)
}

// wantsPage tells a page from a script or picture that is missing: those get
// their 404.
func wantsPage(r *http.Request) bool {
	return path.Ext(r.URL.Path) == "" || strings.Contains(r.Header.Get("Accept"), "text/html")
}

func (h *Handler) missing(w http.ResponseWriter, r *http.Request) {
	if info, err := h.root.Stat("404.html"); err == nil && info.Mode().IsRegular() {
		h.file(w, r, "404.html", http.StatusNotFound)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	http.Error(w, "not found", http.StatusNotFound)
}

// file sends one file.
func (h *Handler) file(w http.ResponseWriter, r *http.Request, name string, status int) {
	f, err := h.root.Open(name)
	if err != nil {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	head := w.Header()
	head.Set("Content-Type", contentType(name))
	head.Set("Cache-Control", cacheControl(name))
	entity, err := h.tag(name, f, info)
	if err != nil {
		http.Error(w, "the file cannot be read", http.StatusInternalServerError)
		return
	}
	if compressible(name, info.Size()) {
		head.Add("Vary", "Accept-Encoding")
		if r.Header.Get("Range") == "" && acceptsGzip(r.Header.Get("Accept-Encoding")) {
			h.compressed(w, r, f, entity, status)
			return
		}
	}
	head.Set("ETag", `"`+entity+`"`)
	if status != http.StatusOK {
		send(w, r, f, info.Size(), status)
		return
	}
	// No time: those of an image's files do not tell when they changed.
	http.ServeContent(w, r, name, time.Time{}, f)
}
