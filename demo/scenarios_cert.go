package demo

import (
	"crypto/tls"
	"strings"
)

// certScenarios change certificates. In the healthy region, all five places
// have the same set.
var certScenarios = []Scenario{
	{"cert-client-stale-tls13", "cert", title("控制台的客户端证书是旧 CA 签发的（TLS 1.3）", "The console's client certificate is signed by the previous CA (TLS 1.3)"), alerts("RainbondConsoleCertificateMismatch"),
		staleClient},
	{"cert-client-stale-tls12", "cert", title("控制台的客户端证书是旧 CA 签发的（TLS 1.2）", "The console's client certificate is signed by the previous CA (TLS 1.2)"), alerts("RainbondConsoleCertificateMismatch"),
		func(w *world) {
			staleClient(w)
			w.listener.maxTLS = tls.VersionTLS12
		}},
	{"cert-ca-stale", "cert", title("只有控制台的 CA 是旧的，名称和序列号相同", "Only the CA of the console is the previous one, with the same name and serial number"), alerts("RainbondConsoleCertificateMismatch"),
		func(w *world) { w.console[caFile] = string(w.generation(other).CA) }},
	{"cert-rotated-latent", "cert", title("证书已轮换，rbd-api 重启前仍然可用", "The certificates were rotated; the connection works until rbd-api restarts"), alerts("RainbondRegionCertificateDrift"),
		func(w *world) { w.secrets, w.regionConfig = w.generation(other), w.generation(other) }},
	{"cert-rotated-broken", "cert", title("证书已轮换且 rbd-api 已重启，控制台仍是旧证书", "The certificates were rotated and rbd-api restarted; the console still has the old certificates"), alerts("RainbondConsoleCertificateMismatch"),
		func(w *world) {
			g := w.generation(other)
			w.secrets, w.regionConfig, w.served = g, g, g
		}},
	{"cert-config-stale", "cert", title("region-config 与 Secret 不一致", "region-config and the Secrets contain different certificates"), alerts("RainbondRegionCertificateDrift"),
		func(w *world) { w.regionConfig = w.generation(other) }},
	{"cert-leading-space", "cert", title("粘贴的 CA 每行开头有空格", "Each line of the pasted CA starts with a space"), alerts("RainbondCertificateUnreadable"),
		func(w *world) {
			w.damage(caFile, func(pem string) string { return " " + strings.ReplaceAll(pem, "\n", "\n ") })
		}},
	{"cert-newlines-lost", "cert", title("粘贴的客户端证书丢失了换行", "The pasted client certificate has no line breaks"), alerts("RainbondCertificateUnreadable"),
		func(w *world) {
			w.damage(certFile, func(pem string) string { return strings.ReplaceAll(pem, "\n", " ") })
		}},
	{"cert-key-mismatch", "cert", title("控制台的私钥与证书不匹配", "The console's private key does not match its certificate"), alerts("RainbondCertificateUnreadable"),
		func(w *world) { w.console[keyFile] = string(w.generation(usual).ServerKey) }},
	{"cert-empty", "cert", title("控制台的客户端证书为空", "The console's client certificate is empty"), alerts("RainbondCertificateUnreadable"),
		func(w *world) { w.console[certFile] = "" }},
	{"cert-path-missing", "cert", title("控制台的 CA 路径没有文件", "The console's CA is a path to a file that does not exist"), alerts("RainbondCertificateUnreadable"),
		func(w *world) { delete(w.console, caFile) }},
	{"cert-secret-gone", "cert", title("rbd-api-server-cert 被删除，rbd-api 无法启动", "The Secret rbd-api-server-cert was deleted, and rbd-api cannot start"), alerts("RainbondCertificateUnreadable"),
		func(w *world) {
			w.secretGone = true
			containerCreating(w.pod("rbd-api"))
			w.addEvent(w.pod("rbd-api"), "FailedMount", `MountVolume.SetUp failed for volume "region-api-ssl" : secret "`+serverSecret+`" not found`)
			w.listener.behaviour = hangsUp
		}},
	{"cert-rotation-pending", "cert", title("网关地址改了，operator 下次重启时轮换全部证书", "The gateway's addresses changed, and the operator rotates all certificates at its next restart"), alerts("RainbondCertificateRotationPending"),
		func(w *world) { w.spec.addresses = append(w.spec.addresses, "192.168.1.12") }},
	{"cert-expiring", "cert", title("替换过的证书 10 天后过期", "A replaced certificate expires in 10 days"), alerts("RainbondCertificateExpiring"),
		func(w *world) { w.replaced(expiring) }},
	{"cert-expired", "cert", title("替换过的证书已经过期", "A replaced certificate has expired"), alerts("RainbondRegionTLSFailing"),
		func(w *world) { w.replaced(expired) }},
	{"cert-crlf", "cert", title("控制台的证书带 CRLF 和行尾空格（不是故障）", "The console's certificates have CRLF line ends and trailing blanks (not a fault)"), nil,
		func(w *world) {
			for _, name := range []string{caFile, certFile, keyFile} {
				w.damage(name, func(pem string) string { return strings.ReplaceAll(strings.TrimSpace(pem), "\n", "  \r\n") })
			}
		}},
}

// staleClient makes the console's client certificate one that the previous CA
// signed.
func staleClient(w *world) {
	g := w.generation(other)
	w.console[certFile], w.console[keyFile] = string(g.Client), string(g.ClientKey)
}

// damage changes the text of one of the console's files.
func (w *world) damage(file string, how func(string) string) { w.console[file] = how(w.console[file]) }

// replaced installs the set of certificates in all five places.
func (w *world) replaced(name string) {
	g := w.generation(name)
	w.served, w.secrets, w.regionConfig, w.console = g, g, g, copied(g)
}
