package kube

import (
	"bytes"
	"io"
	"net/http"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// maxErrorBody is how much of an error response of the Kubernetes API is read,
// in bytes.
const maxErrorBody = 64 << 10

// redactingTransport removes the credentials of a request from the error
// responses of the Kubernetes API, which become the text of errors.
type redactingTransport struct{ http.RoundTripper }

func (t redactingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(r)
	if err != nil || response.StatusCode < http.StatusBadRequest {
		return response, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxErrorBody))
	_ = response.Body.Close()
	if err != nil {
		return nil, err
	}
	body = fault.Redact(body, fault.Credentials(r.Header.Get("Authorization"))...)
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	response.Header.Del("Content-Length")
	return response, nil
}
