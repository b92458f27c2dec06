package relay

import (
	"crypto/subtle"
	"log/slog"
	"mime"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// Relay serves POST /alertmanager/NAME for each receiver.
type Relay struct {
	mux       *http.ServeMux
	log       *slog.Logger
	tokenFile string
}

// New returns a relay that exports its metrics to registry.
func New(c *Config, registry prometheus.Registerer, log *slog.Logger) *Relay {
	r := &Relay{mux: http.NewServeMux(), log: log, tokenFile: c.TokenFile}
	newMetrics(registry, c)
	r.mux.HandleFunc("POST /alertmanager/{receiver}", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "this version does not send messages yet", http.StatusServiceUnavailable)
	})
	return r
}

// ServeHTTP serves requests with the token, or without one on loopback.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if status, text := r.authorize(req); status != 0 {
		http.Error(w, text, status)
		return
	}
	r.mux.ServeHTTP(w, req)
}

// authorize returns 0, or the status and the text of a refusal. The name of the
// host and the content type keep web pages out, which a browser on this machine
// could otherwise let send messages.
func (r *Relay) authorize(req *http.Request) (int, string) {
	if r.tokenFile == "" {
		host, _, err := net.SplitHostPort(req.Host)
		if err != nil {
			host = req.Host
		}
		if !isLoopback(host) {
			return http.StatusForbidden, "expected a request to 127.0.0.1 or localhost; for other addresses, the relay needs token_file"
		}
	} else {
		token, err := readSecret(r.tokenFile)
		if err != nil {
			r.log.Error("the token cannot be read", "field", "token_file", "err", err)
			return http.StatusServiceUnavailable, "the relay cannot read its token"
		}
		if subtle.ConstantTimeCompare([]byte(req.Header.Get("Authorization")), []byte("Bearer "+token)) != 1 {
			return http.StatusUnauthorized, "expected the header Authorization: Bearer TOKEN, with the token of the relay's token_file"
		}
	}
	if kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type")); req.Method == http.MethodPost && kind != "application/json" {
		return http.StatusUnsupportedMediaType, "expected the content type application/json"
	}
	return 0, ""
}
