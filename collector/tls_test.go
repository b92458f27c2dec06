package collector

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWrongClockOfANodeNeitherExtendsNorHidesAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wrong time.Duration
		c := NewTLS("rainbond", func(_ context.Context, seen func(time.Time, []byte)) error {
			seen(time.Now().Add(wrong), []byte("2026/11/23 16:02:04 http: TLS handshake error from 10.42.0.1:1: remote error: tls: bad certificate"))
			return nil
		}, nil)
		for _, row := range []struct{ wrong, want time.Duration }{
			{-time.Minute, -time.Minute}, // at first there is nothing to hold against it
			{-time.Hour, -15 * time.Second},
			{time.Hour, 0},
			{-time.Second, -time.Second},
		} {
			<-time.After(15 * time.Second)
			wrong = row.wrong
			shows(t, c, fmt.Sprintf("rainbond_api_tls_handshake_error_last_timestamp_seconds{class=\"trust\",rainbond_region=\"rainbond\"} %d",
				time.Now().Add(row.want).Unix()), "rainbond_api_tls_handshake_error_last_timestamp_seconds")
		}
	})
}

func TestUnknownHandshakeMessageClaimsNothing(t *testing.T) {
	c := NewTLS("rainbond", func(_ context.Context, seen func(time.Time, []byte)) error {
		seen(time.Now(), []byte("2026/11/23 16:02:04 http: TLS handshake error from 10.42.0.1:1: tls: the moon is full"))
		return nil
	}, nil)
	report, err := c.Collect(t.Context())
	if text := evidenceText(report); err != nil || !strings.Contains(text, "10.42.0.1:1: TLS handshake failed: tls: the moon is full") {
		t.Errorf("%v, evidence:\n%s", err, text)
	}
}
