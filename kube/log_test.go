package kube

import (
	"log/slog"
	"strings"
	"testing"
)

func TestLogHandlerMapsEveryLevelToDebug(t *testing.T) {
	var text strings.Builder
	log := slog.New(debugHandler{slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})}).With("from", "library").WithGroup("g")
	log.Error("quieter", "k", "v")
	if got := text.String(); !strings.HasSuffix(got, " level=DEBUG msg=quieter from=library g.k=v\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %s", got)
	}
	info := slog.New(debugHandler{slog.NewTextHandler(&text, nil)})
	if text.Reset(); !info.Enabled(t.Context(), slog.LevelError) {
		info.Error("dropped")
	}
	if text.Len() > 0 || info.Enabled(t.Context(), slog.LevelError) {
		t.Errorf("a log at INFO has %q", text.String())
	}
}
