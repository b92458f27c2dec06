package collector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// cert compares the certificates in the five places.
type cert struct {
	regions  func(context.Context) ([]fault.Region, error)
	cluster  func(context.Context) ([]fault.Copy, error)
	local    string // the name of the region of this cluster
	platform func(context.Context) (fault.Platform, error)
	probe    func(context.Context, fault.Region) fault.Trace

	mu   sync.Mutex
	last map[string]*compared // by region
}

// compared is the result of comparing one region's copies. It is reused until
// a copy changes, because parsing RSA-4096 certificates is expensive. It holds
// no copy and no certificate, because there may be thousands of regions.
type compared struct {
	sum         fault.Sum // of the copies and of the served certificate
	readings    []reading
	comparisons []fault.Comparison
}

// A reading holds the exported properties of one copy.
type reading struct {
	place, kind string
	damage      fault.Reason // "" if there is a certificate
	description string       // of the damage
	fingerprint string
	notAfter    time.Time
	hasKey      bool
	keyMismatch string // "" if the key matches the certificate
}

func newReading(r fault.Reading, hasKey bool) reading {
	result := reading{place: string(r.Place), kind: string(r.Kind), damage: r.Damage, description: r.Message, hasKey: hasKey, keyMismatch: r.KeyMismatch}
	if r.Cert != nil {
		result.fingerprint, result.notAfter = string(r.Fingerprint()), r.Cert.NotAfter
	}
	return result
}

// NewCert returns the collector of symptom cert. Function regions returns each
// region with the console's copy of its certificates. Function cluster returns
// the copies in this cluster, whose region has the name local, and function
// platform the operator's configuration; both may be nil. The trace of probe
// contains the served certificate.
func NewCert(regions func(context.Context) ([]fault.Region, error), cluster func(context.Context) ([]fault.Copy, error),
	platform func(context.Context) (fault.Platform, error), local string, probe func(context.Context, fault.Region) fault.Trace,
) Collector {
	return &cert{regions: regions, cluster: cluster, platform: platform, local: local, probe: probe, last: map[string]*compared{}}
}

func (c *cert) Name() string { return SlugCert }

func (c *cert) Collect(ctx context.Context) (Report, error) { return collectParts(ctx, c) }

// stream publishes a part for each region.
func (c *cert) stream(ctx context.Context, publish func(part string, r Report)) error {
	// The cluster's copies are read concurrently, so that a Kubernetes API that
	// does not respond takes no time from the regions.
	var ours []fault.Copy
	var errCluster error
	read := make(chan struct{})
	go func() {
		defer close(read)
		ours, errCluster = c.clusterCopies(ctx)
	}()
	var rotation Report
	var errRotation error
	rotated := make(chan struct{})
	go func() {
		defer close(rotated)
		<-read
		errRotation = safely(func() error { c.collectRotation(ctx, &rotation, ours); return nil })
	}()

	all, errRegions := c.regions(ctx)
	regions, errNames := distinct(all)
	var mu sync.Mutex
	seen := map[string]*compared{}
	publishRegion := func(region fault.Region, copies []fault.Copy, served [][]byte) {
		result := c.compare(region, copies, served)
		mu.Lock()
		seen[region.Name] = result
		mu.Unlock()
		var r Report
		result.export(&r, region.Name)
		publish(partRegion+region.Name, r)
	}
	errProbes := probeAll(ctx, regions, c.probe, func(region fault.Region, t *fault.Trace) {
		copies := consoleCopies(region)
		if region.Name == c.local {
			<-read
			copies = append(copies, ours...)
		}
		var served [][]byte
		if t != nil {
			served = servedBy(*t)
		}
		publishRegion(region, copies, served)
	})
	<-read
	if _, ok := seen[c.local]; !ok && len(ours) > 0 {
		publishRegion(fault.Region{Name: c.local, Place: fault.RegionConfig}, ours, nil)
	}
	c.mu.Lock()
	c.last = seen
	c.mu.Unlock()
	<-rotated
	if len(rotation.samples) > 0 {
		publish("rotation", rotation)
	}
	return errors.Join(errRegions, errNames, errCluster, errProbes, errRotation)
}

// collectRotation exports whether the operator replaces all certificates when it
// restarts. Without the Secret or the operator's configuration this is unknown.
func (c *cert) collectRotation(ctx context.Context, r *Report, ours []fault.Copy) {
	i := slices.IndexFunc(ours, func(o fault.Copy) bool { return o.Place == fault.ServerSecret && o.Err == nil })
	if i < 0 || c.platform == nil {
		return
	}
	platform, _ := c.platform(ctx) // the component collector reports the error
	if len(platform.GatewayAddresses) == 0 {
		return
	}
	pending := platform.RotationPending(ours[i].Addresses)
	r.addSample("rainbond_certificate_rotation_pending", flag(pending), c.local)
	if pending {
		label, addresses := ours[i].Addresses, strings.Join(platform.GatewayAddresses, ", ")
		r.addTranslated(EvidenceAddress, fmt.Sprintf("label availableips of Secret rbd-api-server-cert: %q; gatewayIngressIPs: %s", label, addresses),
			fmt.Sprintf("Secret rbd-api-server-cert 的标签 availableips：%q；gatewayIngressIPs：%s", label, addresses), labelRegion, c.local)
	}
}

// clusterCopies returns the copies in this cluster, or an error if the source
// fails or panics.
func (c *cert) clusterCopies(ctx context.Context) (copies []fault.Copy, err error) {
	if c.cluster == nil {
		return nil, nil
	}
	errPanic := safely(func() error {
		copies, err = c.cluster(ctx)
		return nil
	})
	return copies, errors.Join(err, errPanic)
}

// consoleCopies returns the console's copies of a region's certificates. It
// returns nil for a region from region-config, whose copies are among the
// cluster's, and for files that exist only in the console's container.
func consoleCopies(region fault.Region) []fault.Copy {
	if region.Place != fault.Console || errors.Is(region.Err, fault.ErrConsoleOnly) {
		return nil
	}
	copies := []fault.Copy{
		{Place: fault.Console, Kind: fault.CA, PEM: region.CA, Column: region.Columns},
		{Place: fault.Console, Kind: fault.Client, PEM: region.Cert, Key: append(fault.Secret{}, region.Key...), Column: region.Columns},
	}
	for i := range copies {
		if region.Err != nil && len(copies[i].PEM) == 0 {
			copies[i].Err = region.Err
		}
	}
	return copies
}

// servedBy returns the DER of the certificates that rbd-api serves, leaf first;
// nil if another server responds.
func servedBy(t fault.Trace) [][]byte {
	if t.WrongPeer() {
		return nil
	}
	return t.Served
}

// compare parses and compares a region's copies. It returns the last result if
// the copies have not changed.
func (c *cert) compare(region fault.Region, copies []fault.Copy, served [][]byte) *compared {
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
	}
	if len(served) > 0 {
		readings = append(readings, fault.ReadServed(served...))
	}
	fault.SelectCA(readings)
	for i, reading := range readings {
		now.readings = append(now.readings, newReading(reading, i < len(copies) && copies[i].Key != nil))
	}
	now.comparisons = fault.Compare(readings, region.Place)
	return now
}

// sumOf returns a hash of everything that a comparison depends on.
func sumOf(copies []fault.Copy, served [][]byte) fault.Sum {
	texts := slices.Clone(served)
	for _, c := range copies {
		message := ""
		if c.Err != nil {
			message = c.Err.Error()
		}
		texts = append(texts, []byte(c.Place), []byte(c.Kind), []byte(message), c.PEM, c.Key, strconv.AppendBool(nil, c.Column))
	}
	return fault.SumOf(texts...)
}

// export adds the samples and the evidence of a region's copies.
func (c *compared) export(r *Report, region string) {
	for _, reading := range c.readings {
		place, kind := reading.place, reading.kind
		for _, damage := range fault.Damages {
			r.addSample("rainbond_certificate_unreadable", flag(reading.damage == damage), region, place, kind, string(damage))
		}
		if reading.damage != "" {
			en, zh := copyName(fault.Place(place), fault.Kind(kind))
			r.addTranslated(EvidenceError, en+": "+reading.description, zh+"："+damageZH(reading.damage, reading.description), labelRegion, region, "place", place, "kind", kind, "reason", string(reading.damage))
			continue
		}
		r.addSample("rainbond_certificate_info", 1, region, place, kind, reading.fingerprint)
		r.addSample("rainbond_certificate_not_after_timestamp_seconds", float64(reading.notAfter.Unix()), region, place, kind)
		if reading.hasKey {
			r.addSample("rainbond_certificate_key_mismatch", flag(reading.keyMismatch != ""), region, place)
		}
		if reading.keyMismatch != "" {
			en, zh := copyName(fault.Place(place), fault.Kind(kind))
			r.addTranslated(EvidenceError, en+": "+reading.keyMismatch, zh+"："+keyMismatchZH(reading.keyMismatch), labelRegion, region, "place", place)
		}
	}
	for _, m := range c.comparisons {
		r.addSample("rainbond_certificate_mismatch", flag(m.Differs), region, string(m.Kind), string(m.Place), string(m.Reference))
		if m.Differs {
			en, zh := relation(m)
			r.addTranslated(EvidenceFingerprint, en, zh, labelRegion, region, "kind", string(m.Kind), "place", string(m.Place), "reference", string(m.Reference))
		}
	}
}

// copyName names the copy of a certificate in both languages, as in "console
// client".
func copyName(place fault.Place, kind fault.Kind) (en, zh string) {
	zh = string(place) + " 的"
	switch place {
	case fault.Console:
		zh = "控制台的"
	case fault.Served:
		zh = "rbd-api 出示的"
	}
	return string(place) + " " + string(kind), zh + map[fault.Kind]string{fault.CA: " CA 证书", fault.Client: "客户端证书", fault.Server: "服务端证书"}[kind]
}

// relation describes the relation that does not hold, in both languages. It
// shows two fingerprints as different only if they should be equal.
func relation(m fault.Comparison) (en, zh string) {
	a, b := m.Fingerprint.Short(), m.ReferenceFingerprint.Short()
	switch {
	case m.Relation == fault.SignedBy && m.Kind == fault.Server:
		owner, ownerZH := "the console's CA", "控制台的 CA"
		if m.Reference != fault.Console {
			owner, ownerZH = "the CA in "+string(m.Reference), " "+string(m.Reference)+" 中的 CA"
		}
		return fmt.Sprintf("the certificate served by rbd-api (%s…) is not signed by %s (%s…)", a, owner, b),
			fmt.Sprintf("rbd-api 出示的证书（%s…）不是由%s（%s…）签发的", a, ownerZH, b)
	case m.Relation == fault.SignedBy:
		owner, ownerZH := "the console's client certificate", "控制台的客户端证书"
		if m.Place != fault.Console {
			owner, ownerZH = "the client certificate in "+string(m.Place), string(m.Place)+" 中的客户端证书"
		}
		return fmt.Sprintf("%s (%s…) is not signed by the CA that rbd-api uses (%s…)", owner, a, b),
			fmt.Sprintf("%s（%s…）不是由 rbd-api 使用的 CA（%s…）签发的", ownerZH, a, b)
	}
	first, firstZH := copyName(m.Place, m.Kind)
	second, secondZH := copyName(m.Reference, m.Kind)
	return fmt.Sprintf("%s %s… ≠ %s %s…", first, a, second, b), fmt.Sprintf("%s %s… ≠ %s %s…", firstZH, a, secondZH, b)
}

// damageZH is the Chinese form of why there is no certificate.
func damageZH(damage fault.Reason, description string) string {
	switch damage {
	case fault.Empty:
		return "内容为空"
	case fault.LeadingSpace:
		return "行首有空格，无法识别证书"
	case fault.NewlinesLost:
		return "换行丢失，无法识别证书"
	case fault.CarriageReturn:
		return "含有 CRLF 换行，控制台无法使用"
	case fault.KeyEncrypted:
		return "私钥已加密，控制台无法使用"
	case fault.NotPEM:
		return "不是 PEM 格式"
	case fault.WrongType:
		return "内容不是证书（" + description + "）"
	case fault.Missing:
		return "不存在（" + description + "）"
	}
	return "证书损坏（" + description + "）"
}

// keyMismatchZH is the Chinese form of why a key does not match its certificate.
func keyMismatchZH(en string) string {
	switch en {
	case fault.KeyEmpty:
		return "私钥为空"
	case fault.KeyOfOtherCertificate:
		return "私钥属于另一张证书"
	}
	return "私钥无法读取（" + en + "）"
}
