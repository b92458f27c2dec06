package demo

import (
	"crypto/tls"
	"strings"
)

// certScenarios break the certificates. In the healthy region, all five
// places hold one generation.
var certScenarios = []Scenario{
	{"cert-client-stale-tls13", "cert", title("控制台的客户端证书是旧 CA 签发的（TLS 1.3）", "the console's client certificate is of the previous CA (TLS 1.3)"), alerts("RainbondConsoleCertificateMismatch"),
		staleClient},
	{"cert-client-stale-tls12", "cert", title("控制台的客户端证书是旧 CA 签发的（TLS 1.2）", "the console's client certificate is of the previous CA (TLS 1.2)"), alerts("RainbondConsoleCertificateMismatch"),
		func(w *world) {
			staleClient(w)
			w.door.maxTLS = tls.VersionTLS12
		}},
	{"cert-ca-stale", "cert", title("控制台的 CA 是旧的，名称和序列号相同", "the console's CA is the previous one, of the same name and serial"), alerts("RainbondConsoleCertificateMismatch"),
		func(w *world) { w.console[caFile] = string(w.generation(other).CA) }},
	{"cert-rotated-latent", "cert", title("证书已轮换，rbd-api 重启前仍然可用", "rotated, and all works until rbd-api restarts"), alerts("RainbondRegionCertificateDrift"),
		func(w *world) { w.secrets, w.regionConfig = w.generation(other), w.generation(other) }},
	{"cert-rotated-broken", "cert", title("证书已轮换且 rbd-api 已重启，控制台仍是旧证书", "rotated, rbd-api has restarted, and the console holds the old"), alerts("RainbondConsoleCertificateMismatch"),
		func(w *world) {
			g := w.generation(other)
			w.secrets, w.regionConfig, w.served = g, g, g
		}},
	{"cert-config-stale", "cert", title("region-config 与 Secret 不一致", "region-config differs from the Secrets"), alerts("RainbondRegionCertificateDrift"),
		func(w *world) { w.regionConfig = w.generation(other) }},
	{"cert-leading-space", "cert", title("粘贴的 CA 每行开头有空格", "the pasted CA has a space before each line"), alerts("RainbondCertificateUnreadable"),
		func(w *world) {
			w.spoil(caFile, func(pem string) string { return " " + strings.ReplaceAll(pem, "\n", "\n ") })
		}},
	{"cert-newlines-lost", "cert", title("粘贴的客户端证书丢失了换行", "the pasted client certificate has lost its newlines"), alerts("RainbondCertificateUnreadable"),
		func(w *world) {
			w.spoil(certFile, func(pem string) string { return strings.ReplaceAll(pem, "\n", " ") })
		}},
	{"cert-key-mismatch", "cert", title("控制台的私钥与证书不匹配", "the console's key does not fit its certificate"), alerts("RainbondCertificateUnreadable"),
		func(w *world) { w.console[keyFile] = string(w.generation(usual).ServerKey) }},
	{"cert-empty", "cert", title("控制台的客户端证书为空", "the console's client certificate is empty"), alerts("RainbondCertificateUnreadable"),
		func(w *world) { w.console[certFile] = "" }},
	{"cert-path-missing", "cert", title("控制台的 CA 路径没有文件", "the console's CA is a path to no file"), alerts("RainbondCertificateUnreadable"),
		func(w *world) { delete(w.console, caFile) }},
	{"cert-secret-gone", "cert", title("rbd-api-server-cert 被删除，rbd-api 无法启动", "rbd-api-server-cert is deleted, and rbd-api cannot start"), alerts("RainbondCertificateUnreadable"),
		func(w *world) {
			w.secretGone = true
			creating(w.pod("rbd-api"))
			w.complain(w.pod("rbd-api"), `MountVolume.SetUp failed for volume "region-api-ssl" : secret "`+serverSecret+`" not found`)
			w.door.behaviour = hangsUp
		}},
	{"cert-expiring", "cert", title("替换过的证书 10 天后过期", "a replaced certificate has 10 days left"), alerts("RainbondCertificateExpiring"),
		func(w *world) { w.replaced(expiring) }},
	{"cert-expired", "cert", title("替换过的证书已经过期", "a replaced certificate has expired"), alerts("RainbondRegionTLSFailing"),
		func(w *world) { w.replaced(expired) }},
	{"cert-crlf", "cert", title("控制台的证书带 CRLF 和行尾空格（噪声）", "the console's copy has CRLF and trailing blanks (noise)"), nil,
		func(w *world) {
			for _, name := range []string{caFile, certFile, keyFile} {
				w.spoil(name, func(pem string) string { return strings.ReplaceAll(strings.TrimSpace(pem), "\n", "  \r\n") })
			}
		}},
}

// staleClient leaves the console with the previous client certificate.
func staleClient(w *world) {
	g := w.generation(other)
	w.console[certFile], w.console[keyFile] = string(g.Client), string(g.ClientKey)
}

// spoil does to one of the console's files what pasting does.
func (w *world) spoil(file string, how func(string) string) { w.console[file] = how(w.console[file]) }

// replaced puts a generation of somebody's own everywhere.
func (w *world) replaced(name string) {
	g := w.generation(name)
	w.served, w.secrets, w.regionConfig, w.console = g, g, g, copied(g)
}
