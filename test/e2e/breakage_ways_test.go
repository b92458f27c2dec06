//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// tokenEnds waits until the token is refused, and ends the watches that were
// begun with it: the API server keeps them open.
func (s *subject) tokenEnds(t testing.TB) {
	until(t, time.Minute, "the token is refused", func() error {
		return s.each(func(w *witness) error { return w.cannot("cert", "tls") })
	})
	s.gate.cut()
}

// tokenRotates turns the link to a token that has just been issued.
func (s *subject) tokenRotates(t testing.TB) {
	token, err := s.bound(t.Context())
	must(t, err)
	must(t, s.token.swap(token))
}

// compacted removes the history of the API server while the exporters are
// paused, so that their watches cannot resume.
func (s *subject) compacted(t testing.TB) {
	for _, w := range s.both {
		w.held <- struct{}{}
		w.signal(t, syscall.SIGSTOP)
	}
	s.gate.respond(breaksOff)
	s.ready(t, 0)
	s.label(t, "worker-2", "touched", new("1"))
	s.compact(t)
	s.server.kill()
	s.run(t)
	s.gate.passes()
	for _, w := range s.both {
		w.signal(t, syscall.SIGCONT)
		<-w.held
	}
}

// nothingIsThere scrapes as a client that an empty API server still
// knows, by a certificate: what was there before the server forgot must not be
// exported. A namespace without Rainbond has no region and no certificates.
func (s *subject) nothingIsThere(t testing.TB) {
	until(t, recovery, "the empty server is exported as empty", func() error {
		g := s.byCertificate.observe()
		if g.err == nil && (!slices.Equal(g.failing, []string{"api", "cert"}) || g.nodes != "0" || g.ready != "") {
			g.err = fmt.Errorf("%s workers, %s is %q ready; unable: %v", g.nodes, s.row.component, g.ready, g.failing)
		}
		return g.err
	})
}

// administratorLooks starts an exporter that is known by a certificate.
func (s *subject) administratorScrapes(t testing.TB) {
	admin := s.administrator(t)
	kubeconfig := filepath.Join(s.token.folder, "administrator")
	write(t, kubeconfig, s.kubeconfigOf(t, s.url, map[string]any{"client-certificate-data": admin.cert, "client-key-data": admin.key}))
	s.byCertificate = witnessOf(t, newExporter(t, s.logs, "by-certificate", "--role=cluster", "--region.route=api_address", "--kubeconfig="+kubeconfig), s.row.component)
	until(t, recovery, "the administrator's exporter sees everything", func() error {
		g := s.byCertificate.observe()
		if g.err == nil && (g.nodes != "2" || g.ready != "1") {
			g.err = fmt.Errorf("%q workers, %s is %q ready", g.nodes, s.row.component, g.ready)
		}
		return g.err
	})
}

// thousand is how many objects change at once.
const thousand = 1000

// thousandChange lets 1,000 nodes come, lose their role at once, and go.
func (s *subject) thousandChange(t testing.TB) {
	begun := time.Now()
	s.crowdComes(t)
	progress("%d nodes came in %s", thousand, seconds(time.Since(begun)))
	s.workers(t, fmt.Sprint(thousand+2))
	begun = time.Now()
	patch := []byte(`{"metadata": {"labels": {"node-role.kubernetes.io/worker": null, "node-role.kubernetes.io/edge": ""}}}`)
	s.crowd(t, func(ctx context.Context, name string) error {
		return created(s.core.Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}))
	})
	progress("%d nodes changed in %s", thousand, seconds(time.Since(begun)))
	s.workers(t, "2")
	s.crowdGoes(t)
}

// crowdComes lets 1,000 nodes come at once, and crowdGoes lets them go.
func (s *subject) crowdComes(t testing.TB) {
	s.crowd(t, func(ctx context.Context, name string) error {
		return created(s.core.Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name,
			Labels: map[string]string{"crowd": "", "node-role.kubernetes.io/worker": ""}}}, metav1.CreateOptions{}))
	})
}

func (s *subject) crowdGoes(t testing.TB) {
	must(t, s.core.Nodes().DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "crowd"}))
}

// crowd does something with each of 1,000 nodes, 50 at a time.
func (s *subject) crowd(t testing.TB, do func(context.Context, string) error) {
	t.Helper()
	var wait sync.WaitGroup
	errs := make([]error, thousand)
	turn := make(chan struct{}, 50)
	for i := range thousand {
		turn <- struct{}{}
		wait.Go(func() {
			errs[i] = do(t.Context(), fmt.Sprintf("crowd-%d", i))
			<-turn
		})
	}
	wait.Wait()
	must(t, errors.Join(slices.DeleteFunc(errs, func(err error) bool { return err == nil })...))
}

// workers waits until that many nodes are exported as workers.
func (s *subject) workers(t testing.TB, count string) {
	t.Helper()
	took := until(t, recovery, count+" workers are exported", func() error {
		return s.each(func(w *witness) error {
			if g := w.observe(); g.err != nil || g.nodes != count {
				return fmt.Errorf("%s: %q workers (%w)", w.name, g.nodes, g.err)
			}
			return nil
		})
	})
	progress("%s workers are exported %s later", count, seconds(took))
}
