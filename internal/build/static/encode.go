package static

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// tag is a file's content hash and what it was computed from.
type tag struct {
	value    string
	size     int64
	modified time.Time
}

// maxTags bounds what is remembered; above it the hashes are computed anew.
const maxTags = 100_000

// tag returns the content hash of a file, remembered while its size and time
// stay.
func (h *Handler) tag(name string, f io.ReadSeeker, info os.FileInfo) (string, error) {
	h.mu.Lock()
	known, ok := h.tags[name]
	h.mu.Unlock()
	if ok && known.size == info.Size() && known.modified.Equal(info.ModTime()) {
		return known.value, nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	t := tag{hex.EncodeToString(sum.Sum(nil)[:12]), info.Size(), info.ModTime()}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.tags) >= maxTags {
		clear(h.tags)
	}
	h.tags[name] = t
	return t.value, nil
}

// compressed sends a file as gzip, with a tag of its own: it is another
// representation.
func (h *Handler) compressed(w http.ResponseWriter, r *http.Request, f io.Reader, entity string, status int) {
	etag := `"` + entity + `-gz"`
	head := w.Header()
	head.Set("ETag", etag)
	if status == http.StatusOK && matches(r.Header.Get("If-None-Match"), etag) {
		head.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	head.Set("Content-Encoding", "gzip")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return // the level is a constant
	}
	// The visitor is gone when this fails; there is nobody to tell.
	if _, err := io.Copy(z, f); err == nil {
		_ = z.Close()
	}
}

// send writes a whole file under another status than 200.
func send(w http.ResponseWriter, r *http.Request, f io.Reader, size int64, status int) {
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.Copy(w, f)
	}
}

func matches(header, etag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
			return true
		}
	}
	return false
}

// acceptsGzip reads Accept-Encoding: gzip is named and not with a quality of 0.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if name = strings.TrimSpace(name); name != "gzip" && name != "*" {
			continue
		}
		q, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		if !ok {
			return true
		}
		value, err := strconv.ParseFloat(q, 64)
		return err == nil && value > 0
	}
	return false
}

// Sizes between which a file is compressed: below, the header costs more; above,
// the processor does.
const (
	minCompress = 512
	maxCompress = 32 << 20
)

func compressible(name string, size int64) bool {
	if size < minCompress || size > maxCompress {
		return false
	}
	t := contentType(name)
	return strings.HasPrefix(t, "text/") || strings.Contains(t, "javascript") || strings.Contains(t, "json") ||
		strings.Contains(t, "xml") || t == "application/wasm"
}

// types that browsers insist on; the system's own table is not in an image.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".json": "application/json", ".map": "application/json", ".webmanifest": "application/manifest+json",
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif",
	".webp": "image/webp", ".avif": "image/avif", ".ico": "image/x-icon", ".wasm": "application/wasm",
	".txt": "text/plain; charset=utf-8", ".md": "text/plain; charset=utf-8", ".xml": "application/xml", ".pdf": "application/pdf",
	".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf", ".otf": "font/otf",
	".mp4": "video/mp4", ".webm": "video/webm", ".mp3": "audio/mpeg", ".zip": "application/zip", ".gz": "application/gzip",
}

func contentType(name string) string {
	ext := strings.ToLower(path.Ext(name))
	if t, ok := types[ext]; ok {
		return t
	}
	if t := mime.TypeByExtension(ext); t != "" {
		return t
	}
	return "application/octet-stream"
}

// hashed names carry a hash of the content, as bundlers write them: app.3f2a91bc.js.
var hashed = regexp.MustCompile(`[.-][0-9a-zA-Z_]{8,}\.[a-z0-9]+$`)
var digit = regexp.MustCompile(`[0-9]`)

// cacheControl lets files with a hash in their name be kept for ever and makes
// everything else ask first.
func cacheControl(name string) string {
	if m := hashed.FindString(path.Base(name)); m != "" && digit.MatchString(strings.TrimSuffix(m, path.Ext(m))) && path.Ext(name) != ".html" {
		return "public, max-age=31536000, immutable"
	}
	return "no-cache"
}
