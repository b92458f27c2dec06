package collector

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// cert looks whether the certificates in the five places belong together.
type cert struct {
	regions func(context.Context) ([]fault.Region, error)
	kept    func(context.Context) ([]fault.Copy, error)
	own     string
	probe   func(context.Context, fault.Region) fault.Trace

	mu   sync.Mutex
	last map[string]compared // by region
}

// compared is what came of one region's copies. Reading RSA-4096 certificates
// costs more than all else here, and they hardly ever change.
type compared struct {
	copies      []fault.Copy
	served      []byte
	readings    []fault.Reading
	comparisons []fault.Comparison
}

// NewCert returns the collector of symptom cert. Regions tells each region
// with its console's copy; kept, which may be nil, tells the copies of the
// cluster we are in, whose region is called own; probe makes known what is
// served.
func NewCert(regions func(context.Context) ([]fault.Region, error), kept func(context.Context) ([]fault.Copy, error),
	own string, probe func(context.Context, fault.Region) fault.Trace,
) Collector {
	return &cert{regions: regions, kept: kept, own: own, probe: probe, last: map[string]compared{}}
}

func (c *cert) Name() string { return SlugCert }

func (c *cert) Look(ctx context.Context) (Report, error) {
	var r Report
	var ours []fault.Copy
	var errKept error
	if c.kept != nil {
		ours, errKept = c.kept(ctx)
	}
	regions, errRegions := c.regions(ctx)
	traces := probeAll(ctx, regions, c.probe)
	seen := map[string]compared{}
	for i, region := range regions {
		copies := consoleCopies(region)
		if region.Name == c.own {
			copies = append(copies, ours...)
		}
		seen[region.Name] = c.compare(region, copies, leaf(traces[i]))
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
	return r, errors.Join(errRegions, errKept)
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
	if len(t.Served) == 0 || t.Unasked && t.Distrust != nil {
		return nil
	}
	return t.Served[0]
}

// compare reads and compares a region's copies, unless they are those of the
// last look.
func (c *cert) compare(region fault.Region, copies []fault.Copy, served []byte) compared {
	c.mu.Lock()
	last, ok := c.last[region.Name]
	c.mu.Unlock()
	if ok && bytes.Equal(last.served, served) && slices.EqualFunc(last.copies, copies, sameCopy) {
		return last
	}
	now := compared{copies: copies, served: served}
	for _, copied := range copies {
		now.readings = append(now.readings, fault.ReadCopy(copied))
	}
	if served != nil {
		now.readings = append(now.readings, fault.ReadServed(served))
	}
	now.comparisons = fault.Compare(now.readings, region.Place)
	return now
}

func sameCopy(a, b fault.Copy) bool {
	return a.Place == b.Place && a.Kind == b.Kind && (a.Err == nil) == (b.Err == nil) &&
		bytes.Equal(a.PEM, b.PEM) && bytes.Equal(a.Key, b.Key)
}

// tell turns what was made of a region's copies into samples and evidence.
func (c compared) tell(r *Report, region string) {
	for i, reading := range c.readings {
		place, kind := string(reading.Place), string(reading.Kind)
		for _, damage := range fault.Damages {
			r.set("rainbond_certificate_unreadable", flag(reading.Damage == damage), region, place, kind, string(damage))
		}
		if reading.Damage != "" {
			r.saw(EvidenceError, place+" "+kind+": "+reading.Words, labelRegion, region, "place", place, "kind", kind, "reason", string(reading.Damage))
			continue
		}
		r.set("rainbond_certificate_info", 1, region, place, kind, string(reading.Fingerprint()))
		r.set("rainbond_certificate_not_after_timestamp_seconds", float64(reading.Cert.NotAfter.Unix()), region, place, kind)
		if i < len(c.copies) && c.copies[i].Key != nil {
			r.set("rainbond_certificate_key_mismatch", flag(reading.KeyMisfit != ""), region, place)
		}
		if reading.KeyMisfit != "" {
			r.saw(EvidenceError, place+" "+kind+": "+reading.KeyMisfit, labelRegion, region, "place", place)
		}
	}
	for _, m := range c.comparisons {
		r.set("rainbond_certificate_mismatch", flag(m.Differs), region, string(m.Kind), string(m.Place), string(m.Reference))
		if m.Differs {
			r.saw(EvidenceFingerprint, m.Words, labelRegion, region, "kind", string(m.Kind), "place", string(m.Place), "reference", string(m.Reference))
		}
	}
}
