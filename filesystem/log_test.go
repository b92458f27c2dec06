//go:build linux

package filesystem

import (
	"log/slog"
	"strings"
	"testing"
)

func TestLogHandlerMapsErrorsToWarnings(t *testing.T) {
	var text strings.Builder
	log := slog.New(warnHandler{slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelInfo})}).With("from", "library").WithGroup("g")
	log.Info("dropped")
	log.Error("quieter", "k", "v")
	if got := text.String(); !strings.HasSuffix(got, " level=WARN msg=quieter from=library g.k=v\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %s", got)
	}
}
