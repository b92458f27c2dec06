package fault

import (
	"slices"
	"testing"
	"time"
)

func TestReadAlarmsIncludesPending(t *testing.T) {
	// The format of Prometheus 2.20; the labels are those of the operator's rules.
	got, err := ReadAlarms([]byte(`{"status":"success","data":{"alerts":[
		{"labels":{"Alert":"Rainbond","PageAlarm":"true","Region":"cloud","alertname":"BuilderDown"},"annotations":{"summary":"builder(rbd-chaos) down"},"state":"firing","activeAt":"2026-11-24T02:00:00.5Z","value":"1e+00"},
		{"labels":{"PageAlarm":"true","alertname":"WorkerDown"},"state":"pending","activeAt":"2026-11-24T02:59:00Z","value":"1e+00"},
		{"labels":{"PageAlarm":"false","alertname":"APIDown"},"state":"firing","activeAt":"2026-11-24T02:00:00Z","value":"1e+00"},
		{"labels":{"alertname":"MyOwn"},"state":"firing","activeAt":"2026-11-24T02:00:00Z","value":"1e+00"}]}}`))
	want := []ShownAlarm{
		{"BuilderDown", "firing", time.Date(2026, 11, 24, 2, 0, 0, 500_000_000, time.UTC)},
		{"WorkerDown", "pending", time.Date(2026, 11, 24, 2, 59, 0, 0, time.UTC)},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := ReadAlarms([]byte(`{"status":"success","data":{"alerts":[]}}`)); err != nil || len(got) > 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestReadLastScrape(t *testing.T) {
	got, err := ReadLastScrape([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1764000030.123,"1764000000.5"]}]}}`))
	if want := time.UnixMilli(1764000000500); err != nil || !got.Equal(want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if got, err := ReadLastScrape([]byte(`{"status":"success","data":{"resultType":"vector","result":[]}}`)); err != nil || !got.IsZero() {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestReadRejectsOtherResponses(t *testing.T) {
	for _, body := range []string{
		"", "<html>", `{"code":200,"bean":{}}`, `{"status":"error","errorType":"bad_data","error":"x"}`,
		`{"status":"success","data":{"result":[{"value":[1,"NaN"]}]}}`, `{"status":"success","data":{"result":[{"value":[1,2]}]}}`,
	} {
		if got, err := ReadLastScrape([]byte(body)); err == nil {
			t.Errorf("%s: last scrape %v", body, got)
		}
	}
	for _, body := range []string{"", "<html>", `{"code":200,"bean":{}}`, `{"status":"error"}`} {
		if got, err := ReadAlarms([]byte(body)); err == nil {
			t.Errorf("%s: alarms %v", body, got)
		}
	}
}
