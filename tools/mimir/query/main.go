// Program mimir-query answers queries over a data folder of Prometheus with
// Mimir's query engine: mimir-query ADDRESS FOLDER. It serves /api/v1/query and
// /api/v1/query_range.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/grafana/mimir/pkg/querier/stats"
	"github.com/grafana/mimir/pkg/streamingpromql"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb"
)

func main() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mimir-query:", err)
		os.Exit(1)
	}
}

func serve(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want mimir-query ADDRESS FOLDER, got %d arguments", len(args))
	}
	address, folder := args[0], args[1]
	db, err := tsdb.Open(folder, nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		return fmt.Errorf("cannot open %s: %w", folder, err)
	}
	engine, err := newEngine()
	if err != nil {
		return err
	}
	http.HandleFunc("POST /api/v1/query", func(w http.ResponseWriter, r *http.Request) {
		q, err := engine.NewInstantQuery(r.Context(), db, nil, r.PostFormValue("query"), at(r, "time"))
		respond(w, r, q, err)
	})
	http.HandleFunc("POST /api/v1/query_range", func(w http.ResponseWriter, r *http.Request) {
		q, err := engine.NewRangeQuery(r.Context(), db, nil, r.PostFormValue("query"), at(r, "start"), at(r, "end"), at(r, "step").Sub(time.Unix(0, 0)))
		respond(w, r, q, err)
	})
	return http.ListenAndServe(address, nil)
}

// newEngine is the engine with all of its optimizations, and without the
// fallback to the engine of Prometheus.
func newEngine() (*streamingpromql.Engine, error) {
	opts := streamingpromql.NewTestEngineOpts()
	planner, err := streamingpromql.NewQueryPlanner(opts, streamingpromql.NewMaximumSupportedVersionQueryPlanVersionProvider())
	if err != nil {
		return nil, err
	}
	return streamingpromql.NewEngine(opts, stats.NewQueryMetrics(prometheus.NewRegistry()), planner)
}

// at reads a field in seconds; 0 if it is no number.
func at(r *http.Request, field string) time.Time {
	seconds, _ := strconv.ParseFloat(r.PostFormValue(field), 64)
	return time.UnixMilli(int64(seconds * 1000))
}

func respond(w http.ResponseWriter, r *http.Request, q promql.Query, err error) {
	type data struct {
		ResultType string `json:"resultType"`
		Result     any    `json:"result"`
	}
	answer := struct {
		Status string `json:"status"`
		Error  string `json:"error,omitempty"`
		Data   data   `json:"data"`
	}{Status: "success"}
	if err == nil {
		defer q.Close()
		result := q.Exec(r.Context())
		if err = result.Err; err == nil {
			answer.Data = data{string(result.Value.Type()), result.Value}
		}
	}
	if err != nil {
		answer.Status, answer.Error = "error", err.Error()
	}
	_ = json.NewEncoder(w).Encode(answer) // the client is gone
}
