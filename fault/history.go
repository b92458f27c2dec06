package fault

import (
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	maxFailures    = 10              // failed probes kept for each region
	maxFailureText = 400             // bytes kept of an error
	minLogInterval = time.Minute     // between two log lines of a region that keeps failing
	maxLogInterval = 6 * time.Hour   // the interval doubles up to this
	recoveredAfter = 5 * time.Minute // without a failure, the interval starts again
)

// A FailedProbe is one entry of a History. Unknown is true for a probe without a
// result, which is not the region's failure.
type FailedProbe struct {
	Time    time.Time `json:"time"`
	Phase   Phase     `json:"phase"`
	Reason  Reason    `json:"reason,omitempty"`
	Error   string    `json:"error,omitempty"` // redacted, on one line
	Unknown bool      `json:"unknown,omitempty"`
}

// A History holds the last failed probes of each region, in bounded memory. The
// zero value is ready for use, by several goroutines.
type History struct {
	mu      sync.Mutex
	regions map[string]*regionHistory
}

type regionHistory struct {
	failed   []FailedProbe // the oldest first
	logged   FailedProbe   // the last one for which Add returned log
	interval time.Duration // until the same failure is logged again
}

// Add records the trace of a region if it failed or has no result. It returns
// the entry, and whether the caller should log it: the first failure, a failure
// of another kind, and the same failure with increasing intervals from one minute
// to six hours.
func (h *History) Add(region Region, t Trace, now time.Time) (entry FailedProbe, log bool) {
	failure, failed := FromTrace(t)
	if !failed {
		return FailedProbe{}, false
	}
	entry = FailedProbe{Time: now, Phase: failure.Phase, Reason: failure.Reason, Error: t.errorText(region), Unknown: t.Unknown != nil}
	if entry.Unknown {
		entry.Reason = ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.regions == nil {
		h.regions = map[string]*regionHistory{}
	}
	r := h.regions[region.Name]
	if r == nil {
		r = &regionHistory{}
		h.regions[region.Name] = r
	}
	fresh := len(r.failed) == 0 || now.Sub(r.failed[len(r.failed)-1].Time) > max(recoveredAfter, r.interval)
	if len(r.failed) == maxFailures {
		r.failed = slices.Delete(r.failed, 0, 1)
	}
	r.failed = append(r.failed, entry)
	switch {
	case fresh || entry.kind() != r.logged.kind():
		r.interval = minLogInterval
	case now.Sub(r.logged.Time) >= r.interval:
		r.interval = min(2*r.interval, maxLogInterval)
	default:
		return entry, false
	}
	r.logged = entry
	return entry, true
}

func (f FailedProbe) kind() FailedProbe {
	return FailedProbe{Phase: f.Phase, Reason: f.Reason, Unknown: f.Unknown}
}

// Failed returns the last failed probes of a region, the newest first.
func (h *History) Failed(region string) []FailedProbe {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.regions[region]
	if r == nil {
		return nil
	}
	failed := slices.Clone(r.failed)
	slices.Reverse(failed)
	return failed
}

// Keep removes the history of every region that is not listed.
func (h *History) Keep(regions []Region) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range h.regions {
		if !slices.ContainsFunc(regions, func(r Region) bool { return r.Name == name }) {
			delete(h.regions, name)
		}
	}
}

// errorText returns the errors of a trace on one line, redacted and truncated.
func (t Trace) errorText(region Region) string {
	var parts []string
	switch {
	case t.Unknown != nil:
		parts = append(parts, t.Unknown.Err.Error())
	case t.Err != nil:
		parts = append(parts, t.Err.Error())
	}
	if t.Distrust != nil {
		parts = append(parts, t.Distrust.Error())
	}
	if t.Err == nil && t.Status != 0 {
		parts = append(parts, "HTTP "+itoa(t.Status))
	}
	text := strings.ReplaceAll(strings.Join(parts, "; "), "\n", "; ")
	text = string(Redact([]byte(text), string(region.Token)))
	if len(text) > maxFailureText {
		text = text[:maxFailureText]
		for !utf8.ValidString(text) && len(text) > maxFailureText-utf8.UTFMax {
			text = text[:len(text)-1]
		}
		text += "…"
	}
	return text
}
