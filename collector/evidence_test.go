package collector

import (
	"strings"
	"testing"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

func TestEvidenceComparesComparableCertificates(t *testing.T) {
	const a, b = "3f0e11112222aaaa", "6e6633334444bbbb"
	for _, c := range []struct {
		comparison fault.Comparison
		en, zh     string
	}{
		{fault.Comparison{Kind: fault.Server, Place: fault.Served, Reference: fault.Console, Relation: fault.SignedBy},
			"the certificate served by rbd-api (3f0e11112222…) is not signed by the console's CA (6e6633334444…)",
			"rbd-api 出示的证书（3f0e11112222…）不是由控制台的 CA（6e6633334444…）签发的"},
		{fault.Comparison{Kind: fault.Server, Place: fault.Served, Reference: fault.RegionConfig, Relation: fault.SignedBy},
			"the certificate served by rbd-api (3f0e11112222…) is not signed by the CA in region-config (6e6633334444…)",
			"rbd-api 出示的证书（3f0e11112222…）不是由 region-config 中的 CA（6e6633334444…）签发的"},
		{fault.Comparison{Kind: fault.Client, Place: fault.Console, Reference: fault.Served, Relation: fault.SignedBy},
			"the console's client certificate (3f0e11112222…) is not signed by the CA that rbd-api uses (6e6633334444…)",
			"控制台的客户端证书（3f0e11112222…）不是由 rbd-api 使用的 CA（6e6633334444…）签发的"},
		{fault.Comparison{Kind: fault.Client, Place: fault.RegionConfig, Reference: fault.ClientSecret},
			"region-config client 3f0e11112222… ≠ client-secret client 6e6633334444…",
			"region-config 的客户端证书 3f0e11112222… ≠ client-secret 的客户端证书 6e6633334444…"},
		{fault.Comparison{Kind: fault.CA, Place: fault.Console, Reference: fault.RegionConfig},
			"console ca 3f0e11112222… ≠ region-config ca 6e6633334444…",
			"控制台的 CA 证书 3f0e11112222… ≠ region-config 的 CA 证书 6e6633334444…"},
	} {
		c.comparison.Fingerprint, c.comparison.ReferenceFingerprint = a, b
		if en, zh := relation(c.comparison); en != c.en || zh != c.zh {
			t.Errorf("got  %s\n     %s\nwant %s\n     %s", en, zh, c.en, c.zh)
		}
	}
}

func TestEveryDamageHasAChineseText(t *testing.T) {
	texts := map[string]fault.Reason{}
	for _, damage := range fault.Damages {
		zh := damageZH(damage, "DETAIL")
		if other, ok := texts[zh]; ok {
			t.Errorf("%s and %s have the same text: %s", damage, other, zh)
		}
		texts[zh] = damage
	}
	for en, want := range map[string]string{
		fault.KeyEmpty:                     "私钥为空",
		fault.KeyOfOtherCertificate:        "私钥属于另一张证书",
		"the key cannot be read (damaged)": "私钥无法读取（the key cannot be read (damaged)）",
	} {
		if zh := keyMismatchZH(en); zh != want {
			t.Errorf("%s: got %s, want %s", en, zh, want)
		}
	}
	if en := (Evidence{Text: "error"}).In("zh"); en != "error" {
		t.Errorf("evidence without a Chinese text is %q", en)
	}
	if zh := (Evidence{Text: "error", TextZH: "错误"}); zh.In("zh") != "错误" || zh.In("en") != "error" || strings.Contains(zh.In("en"), "错") {
		t.Errorf("got %q and %q", zh.In("en"), zh.In("zh"))
	}
}
