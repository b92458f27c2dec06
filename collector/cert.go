package collector

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// cert looks whether the certificates in the five places belong together.
type cert struct {
	regions func(context.Context) ([]fault.Region, error)
	kept    func(context.Context) ([]fault.Copy, error)
	own     string
	probe   func(context.Context, fault.Region) fault.Trace

	mu   sync.Mutex
	last map[string]*compared // by region
}

// compared is what came of one region's copies: reading RSA-4096 certificates
// costs more than all else here, and they hardly ever change. It is kept for
// each of very many regions, so neither copies nor certificates are.
type compared struct {
	sum         fault.Sum // of the copies and of what is served
	readings    []reading
	comparisons []fault.Comparison
}

// A reading is what is told of one copy.
type reading struct {
	place, kind string
	damage      fault.Reason // "" when there is a certificate
	words       string       // on the damage
	fingerprint string
	notAfter    time.Time
	withKey     bool
	keyMisfit   string
}

func newReading(r fault.Reading, withKey bool) reading {
	told := reading{place: string(r.Place), kind: string(r.Kind), damage: r.Damage, words: r.Message, withKey: withKey, keyMisfit: r.KeyMismatch}
	if r.Cert != nil {
		told.fingerprint, told.notAfter = string(r.Fingerprint()), r.Cert.NotAfter
	}
	return told
}

// NewCert returns the collector of symptom cert. Regions tells each region
// with its console's copy; kept, which may be nil, tells the copies of the
// cluster we are in, whose region is called own; probe makes known what is
// served.
func NewCert(regions func(context.Context) ([]fault.Region, error), kept func(context.Context) ([]fault.Copy, error),
	own string, probe func(context.Context, fault.Region) fault.Trace,
) Collector {
	return &cert{regions: regions, kept: kept, own: own, probe: probe, last: map[string]*compared{}}
}

func (c *cert) Name() string { return SlugCert }

func (c *cert) Collect(ctx context.Context) (Report, error) {
	var r Report
	var ours []fault.Copy
	var errKept error
	if c.kept != nil {
		ours, errKept = c.kept(ctx)
	}
	regions, errRegions := c.regions(ctx)
	traces, late := probeAll(ctx, regions, c.probe)
	seen := map[string]*compared{}
	for i, region := range regions {
		copies := consoleCopies(region)
		if region.Name == c.own {
			copies = append(copies, ours...)
		}
		var served []byte
		if traces[i] != nil {
			served = leaf(*traces[i])
		}
		seen[region.Name] = c.compare(region, copies, served)
	}
	if _, ok := seen[c.own]; !ok && len(ours) > 0 {
		seen[c.own] = c.compare(fault.Region{Name: c.own, Place: fault.RegionConfig}, ours, nil)
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		seen[name].tell(&r, name)
	}
	c.mu.Lock()
	c.last = seen
	c.mu.Unlock()
	return r, errors.Join(errRegions, errKept, late)
}

// consoleCopies is the console's copy of a region's certificates; nothing
// when the region is known by region-config, which is looked at anyway.
func consoleCopies(region fault.Region) []fault.Copy {
	if region.Place != fault.Console {
		return nil
	}
	copies := []fault.Copy{
		{Place: fault.Console, Kind: fault.CA, PEM: region.CA},
		{Place: fault.Console, Kind: fault.Client, PEM: region.Cert, Key: append(fault.Secret{}, region.Key...)},
	}
	for i := range copies {
		if region.Err != nil && len(copies[i].PEM) == 0 {
			copies[i].Err = region.Err
		}
	}
	return copies
}

// leaf is the certificate that rbd-api serves. A stranger who asks for no
// client certificate is not rbd-api, whatever it presents.
func leaf(t fault.Trace) []byte {
	if len(t.Served) == 0 || t.CertificateNotRequested && t.Distrust != nil {
		return nil
	}
	return t.Served[0]
}

// compare reads and compares a region's copies, unless they are those of the
// last look.
func (c *cert) compare(region fault.Region, copies []fault.Copy, served []byte) *compared {
	c.mu.Lock()
	last, ok := c.last[region.Name]
	c.mu.Unlock()
	now := &compared{sum: sumOf(copies, served)}
	if ok && last.sum == now.sum {
		return last
	}
	var readings []fault.Reading
	for _, copied := range copies {
		readings = append(readings, fault.ReadCopy(copied))
		now.readings = append(now.readings, newReading(readings[len(readings)-1], copied.Key != nil))
	}
	if served != nil {
		readings = append(readings, fault.ReadServed(served))
		now.readings = append(now.readings, newReading(readings[len(readings)-1], false))
	}
	now.comparisons = fault.Compare(readings, region.Place)
	return now
}

func sumOf(copies []fault.Copy, served []byte) fault.Sum {
	texts := [][]byte{served}
	for _, c := range copies {
		words := ""
		if c.Err != nil {
			words = c.Err.Error()
		}
		texts = append(texts, []byte(c.Place), []byte(c.Kind), []byte(words), c.PEM, c.Key)
	}
	return fault.SumOf(texts...)
}

// tell turns what was made of a region's copies into samples and evidence.
func (c *compared) tell(r *Report, region string) {
	for _, reading := range c.readings {
		place, kind := reading.place, reading.kind
		for _, damage := range fault.Damages {
			r.addSample("rainbond_certificate_unreadable", flag(reading.damage == damage), region, place, kind, string(damage))
		}
		if reading.damage != "" {
			r.addEvidence(EvidenceError, place+" "+kind+": "+reading.words, labelRegion, region, "place", place, "kind", kind, "reason", string(reading.damage))
			continue
		}
		r.addSample("rainbond_certificate_info", 1, region, place, kind, reading.fingerprint)
		r.addSample("rainbond_certificate_not_after_timestamp_seconds", float64(reading.notAfter.Unix()), region, place, kind)
		if reading.withKey {
			r.addSample("rainbond_certificate_key_mismatch", flag(reading.keyMisfit != ""), region, place)
		}
		if reading.keyMisfit != "" {
			r.addEvidence(EvidenceError, place+" "+kind+": "+reading.keyMisfit, labelRegion, region, "place", place)
		}
	}
	for _, m := range c.comparisons {
		r.addSample("rainbond_certificate_mismatch", flag(m.Differs), region, string(m.Kind), string(m.Place), string(m.Reference))
		if m.Differs {
			r.addEvidence(EvidenceFingerprint, m.Text, labelRegion, region, "kind", string(m.Kind), "place", string(m.Place), "reference", string(m.Reference))
		}
	}
}
