// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Fault changes how an endpoint answers; it may call the handler that it was
// given or not.
type Fault func(http.Handler) http.Handler

func answer(serve http.HandlerFunc) Fault {
	return func(http.Handler) http.Handler { return serve }
}

// Hang accepts the request and never answers.
func Hang() Fault {
	return answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
}

// HangUntil holds requests until the channel is closed, then serves them, and
// says on entered (when not nil) that one has arrived.
func HangUntil(release <-chan struct{}, entered chan<- struct{}) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if entered != nil {
				select {
				case entered <- struct{}{}:
				default:
				}
			}
			select {
			case <-release:
				next.ServeHTTP(w, r)
			case <-r.Context().Done():
			}
		})
	}
}

// SlowBytes sends the right document one byte per interval.
func SlowBytes(interval time.Duration) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := &recorder{header: w.Header()}
			next.ServeHTTP(rec, r)
			w.Header().Set("Content-Length", strconv.Itoa(rec.body.Len()))
			for _, b := range rec.body.Bytes() {
				if _, err := w.Write([]byte{b}); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
				select {
				case <-time.After(interval):
				case <-r.Context().Done():
					return
				}
			}
		})
	}
}

type recorder struct {
	header http.Header
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
func (r *recorder) WriteHeader(int)             {}

// Redirect answers 302 to a URL.
func Redirect(to string) Fault {
	return answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	})
}

// Status answers a bare status; retryAfter, when given, is the Retry-After
// header.
func Status(code int, retryAfter ...string) Fault {
	return answer(func(w http.ResponseWriter, _ *http.Request) {
		for _, v := range retryAfter {
			w.Header().Set("Retry-After", v)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = w.Write([]byte(`{"error":"fault"}`))
	})
}

// Body answers 200 with a content type and bytes of the test's choice.
func Body(contentType string, body []byte) Fault {
	return answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(body)
	})
}

// JSON answers 200 with a JSON text of the test's choice.
func JSON(body string) Fault { return Body("application/json", []byte(body)) }

// HTML answers 200 with a login page, as captive portals do.
func HTML() Fault { return Body("text/html", []byte("<!doctype html><title>Sign in</title>")) }

// ManyKeys answers a set of n keys that is otherwise right.
func ManyKeys(n int) Fault {
	k, err := NewKey("many", "ES256")
	if err != nil {
		panic(err) // no randomness: nothing in this process can go on
	}
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	for i := range n {
		jwk := k.JWK()
		jwk["kid"] = fmt.Sprintf("many-%d", i)
		set.Keys = append(set.Keys, jwk)
	}
	b, err := json.Marshal(set)
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return Body("application/jwk-set+json", b)
}

// Padded serves the right document, padded with spaces to n bytes.
func Padded(n int) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := &recorder{header: w.Header()}
			next.ServeHTTP(rec, r)
			_, _ = w.Write(rec.body.Bytes())
			if pad := n - rec.body.Len(); pad > 0 {
				_, _ = w.Write(bytes.Repeat([]byte(" "), pad))
			}
		})
	}
}

// InfiniteStream answers 200 and never stops sending.
func InfiniteStream() Fault {
	return answer(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		chunk := bytes.Repeat([]byte(" "), 32<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
}

// GzipBomb answers a body that is small on the wire and size bytes unpacked.
func GzipBomb(size int) Fault {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	zeros := make([]byte, 1<<20)
	for left := size; left > 0; left -= len(zeros) {
		_, _ = z.Write(zeros[:min(left, len(zeros))])
	}
	_ = z.Close()
	return answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})
}

// EndlessHeaders sends header lines, one per interval, and never a body.
func EndlessHeaders(interval time.Duration) Fault {
	return answer(func(w http.ResponseWriter, r *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = buf.WriteString("HTTP/1.1 200 OK\r\n")
		for n := 0; ; n++ {
			if _, err := fmt.Fprintf(buf, "X-Fault-%d: %s\r\n", n, bytes.Repeat([]byte("x"), 1024)); err != nil {
				return
			}
			if err := buf.Flush(); err != nil {
				return
			}
			if interval > 0 {
				select {
				case <-time.After(interval):
				case <-r.Context().Done():
					return
				}
			}
		}
	})
}

// Drop closes the connection without an answer.
func Drop() Fault {
	return answer(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
}

// Header serves the right document with one header set over it, for example
// Cache-Control or Content-Type.
func Header(name, value string) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&headerWriter{ResponseWriter: w, name: name, value: value}, r)
		})
	}
}

type headerWriter struct {
	http.ResponseWriter

	name, value string
}

// Write sets the header last, after the handler has set its own.
func (w *headerWriter) Write(b []byte) (int, error) {
	w.ResponseWriter.Header().Set(w.name, w.value)
	return w.ResponseWriter.Write(b)
}
