package demo

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// A Scenario is a set of faults in the region, or a healthy state that is
// easily mistaken for a fault.
type Scenario struct {
	Name  string
	Slug  string            // the symptom; "healthy", "region" and "watch" are not among the six
	Title map[string]string // one sentence, by language: zh, en
	// Alerts are the names of exactly those alerts that fire, without the
	// inhibited ones. Empty: none fires.
	Alerts []string
	inject func(*world) // changes the healthy world; nil: no change
}

// Healthy is the name of the scenario without a fault.
const Healthy = "healthy"

// Slugs of the scenarios that belong to none of the six symptoms.
const (
	slugHealthy = "healthy"
	slugRegion  = "region" // a console with several regions
	slugWatch   = "watch"
)

// Scenarios are all scenarios, grouped by symptom in the order of Rainbond's
// documentation.
var Scenarios = slices.Concat(
	[]Scenario{{Name: Healthy, Slug: slugHealthy, Title: title("一切正常", "The region is healthy")}},
	apiScenarios, tlsScenarios, certScenarios, nodeRoleScenarios, componentScenarios, diskScenarios, regionScenarios, watchScenarios,
)

// inTime are the alerts that need a history: a single collection cannot detect
// them.
var inTime = map[string][]string{
	"api-flapping":      alerts("RainbondRegionAPIUnstable"),
	"disk-filling-fast": alerts("RainbondNodeDiskEvictionNear"),
	// Stock K3s and kubeadm have no worker label: only its loss is reported.
	"node-role-no-worker": alerts("RainbondRoleWithoutNode"),
}

// info are the scenarios whose alerts have the severity info, some of them only
// since v5.13: they notify nobody.
var info = []string{"node-role-none", "node-role-no-worker", "component-restart-pending"}

// Notified returns the names of exactly those alerts that notify once the
// scenario has lasted for the rules' durations.
func (s Scenario) Notified() []string {
	var all []string
	for one := range strings.SplitSeq(s.Name, and) {
		if scenario, err := find(one); err == nil && !slices.Contains(info, one) {
			all = union(all, scenario.InTime())
		}
	}
	return all
}

// InTime returns the names of exactly those alerts that fire once the scenario
// has lasted for the rules' durations.
func (s Scenario) InTime() []string {
	all := s.Alerts
	for one := range strings.SplitSeq(s.Name, and) {
		all = union(all, inTime[one])
	}
	return all
}

// And returns a scenario with the faults, names and alerts of both. The alerts
// are correct only if neither fault hides or causes the other.
func (s Scenario) And(other Scenario) Scenario {
	return Scenario{
		Name: s.Name + and + other.Name, Slug: s.Slug,
		Title:  title(s.Title["zh"]+"；"+other.Title["zh"], s.Title["en"]+"; "+other.Title["en"]),
		Alerts: union(s.Alerts, other.Alerts),
		inject: func(w *world) {
			for _, one := range []Scenario{s, other} {
				if one.inject != nil {
					one.inject(w)
				}
			}
		},
	}
}

// and joins the names of simultaneous scenarios.
const and = "+"

func union(some, others []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(some, others))))
}

func title(zh, en string) map[string]string { return map[string]string{"zh": zh, "en": en} }

// alerts returns its arguments.
func alerts(names ...string) []string { return names }

var apiScenarios = []Scenario{
	{"api-name-unknown", "api", title("域名无法解析", "The host name of the region does not resolve"), alerts("RainbondRegionUnreachable"),
		// No name server may ever know a name under .invalid (RFC 6761).
		func(w *world) { w.url = "https://region.rainbond.invalid:8443" }},
	{"api-name-silent", "api", title("域名服务器没有应答", "The DNS server does not respond"), alerts("RainbondRegionUnreachable"),
		func(w *world) { w.url, w.dnsUnresponsive = "https://region.rainbond.invalid:8443", true }},
	{"api-dropped", "api", title("报文被防火墙丢弃，连接超时", "A firewall drops packets, and connections time out"), alerts("RainbondRegionUnreachable"),
		func(w *world) { w.listener.behaviour = drops }},
	{"api-no-route", "api", title("没有到集群端的路由", "The console has no route to the region"), alerts("RainbondRegionUnreachable"),
		// The kernel itself refuses TCP to the broadcast address, and sends nothing.
		func(w *world) {
			w.url = "https://255.255.255.255:8443"
			w.node("node-1").Status.Addresses = append(w.node("node-1").Status.Addresses, corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: "255.255.255.255"})
		}},
	{"api-address-moved", "api", title("服务器 IP 变了，地址不再属于任何节点", "The server's IP address changed, and no node has the old address"), alerts("RainbondRegionUnreachable"),
		// As above: the broadcast address of the loopback network.
		func(w *world) { w.url = "https://127.255.255.255:8443" }},
	{"api-refused-pod-ready", "api", title("rbd-api 就绪，但端口拒绝连接", "The port refuses connections although rbd-api is ready"), alerts("RainbondRegionPortClosed"),
		func(w *world) { w.listener.behaviour = refuses }},
	{"api-reset", "api", title("rbd-api 就绪，但连接被重置", "Connections are reset although rbd-api is ready"), alerts("RainbondRegionPortClosed"),
		func(w *world) { w.listener.behaviour = resets }},
	{"api-pod-down", "api", title("rbd-api 崩溃重启，端口拒绝连接", "rbd-api is crash looping, and its port refuses connections"), alerts("RainbondRegionAPIDown"),
		func(w *world) {
			crashLoop(w.pod("rbd-api"), "create db manager failure: dial tcp: lookup rbd-db-rw: no such host")
			w.listener.behaviour = refuses
		}},
	{"api-gateway-only", "api", title("网关接受连接，但后端没有 rbd-api", "The gateway accepts connections, but no rbd-api pod runs behind it"), alerts("RainbondRegionAPIDown"),
		func(w *world) {
			w.component("rbd-api").pods = nil
			w.listener.behaviour = hangsUp
		}},
	{"api-5xx", "api", title("API 返回 503", "The API returns 503"), alerts("RainbondRegionAPIDown"),
		func(w *world) {
			w.listener.api = regionAPI{status: http.StatusServiceUnavailable, body: `{"error":"部分服务不可用"}`}
		}},
	{"api-504", "api", title("API 处理 5 秒后返回 504", "The API returns 504 after 5 s"), alerts("RainbondRegionAPIDown"),
		func(w *world) {
			w.listener.api = regionAPI{status: http.StatusGatewayTimeout, body: "timeout", delay: 5 * time.Second}
		}},
	{"api-wrong-body", "api", title("端口返回的不是 Rainbond 的页面", "Another web server responds at the API's address"), alerts("RainbondRegionAPIDown"),
		func(w *world) {
			w.listener.api.body = "<!DOCTYPE html>\n<html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>\n"
		}},
	{"api-not-ready", "api", title("/v2/cluster/ready 返回 503", "/v2/cluster/ready returns 503"), alerts("RainbondRegionAPIDown"),
		func(w *world) { w.listener.api.notReady = true }},
	{"api-slow", "api", title("/v2/show 需要 1.5 秒", "/v2/show takes 1.5 s"), alerts("RainbondRegionAPISlow"),
		func(w *world) { w.listener.api.delay = 1500 * time.Millisecond }},
	{"api-clock-skew", "api", title("集群端的时钟快两小时", "The clock of the region is two hours ahead"), alerts("RainbondRegionClockSkew"),
		func(w *world) { w.listener.api.ahead = 2 * time.Hour }},
	{"api-flapping", "api", title("每三次探测有一次失败，从不连续", "One probe in three fails, never two in a row"), nil,
		func(w *world) { w.listener.api.flaky = 3 }},
	{"api-plain-http", "api", title("8443 端口返回明文 HTTP", "Port 8443 serves plain HTTP"), alerts("RainbondRegionTLSFailing"),
		func(w *world) { w.listener.plainHTTP = true }},
	{"api-old-tls", "api", title("只支持 TLS 1.1 及更低版本", "rbd-api supports only TLS 1.1 and older"), alerts("RainbondRegionTLSFailing"),
		func(w *world) { w.listener.maxTLS = tls.VersionTLS11 }},
	{"api-url-path", "api", title("控制台里的 API 地址末尾有斜杠", "The API address in the console has a trailing slash"), alerts("RainbondRegionAPIDown"),
		func(w *world) { w.url += "/" }},
	{"api-wrong-peer", "api", title("8443 端口上是另一个 TLS 服务（kube-apiserver）", "Another TLS server, a kube-apiserver, responds on port 8443"), alerts("RainbondRegionTLSFailing"),
		func(w *world) {
			w.listener.foreign = true
			w.listener.api = regionAPI{status: http.StatusForbidden, body: `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"forbidden: User \"system:anonymous\" cannot get path \"/v2/show\"","reason":"Forbidden","code":403}`}
		}},
	{"api-tls-proxy", "api", title("中间的代理终结了 TLS", "A proxy between console and region terminates TLS"), alerts("RainbondRegionTLSFailing"),
		func(w *world) { w.listener.proxied = true }},
}

var tlsScenarios = []Scenario{
	{"tls-go-distrusts", "tls", title("Go 客户端不信任集群端证书", "A Go client does not trust the region's certificate"), alerts("RainbondTLSHandshakeErrors"),
		func(w *world) {
			w.clients = []clientFunc{goClient(w.generation(other), w.generation(usual))}
		}},
	// What real OpenSSL 3.0 clients left in the real rbd-api's log.
	{"tls-openssl-distrusts-12", "tls", title("OpenSSL 客户端不信任集群端证书（TLS 1.2）", "An OpenSSL client does not trust the region's certificate (TLS 1.2)"), alerts("RainbondTLSHandshakeErrors"),
		func(w *world) { w.replayedErrors = []string{"remote error: tls: unknown certificate authority"} }},
	{"tls-openssl-distrusts-13", "tls", title("OpenSSL 客户端不信任集群端证书（TLS 1.3）", "An OpenSSL client does not trust the region's certificate (TLS 1.3)"), alerts("RainbondTLSHandshakeErrors"),
		func(w *world) { w.replayedErrors = []string{"local error: tls: bad record MAC"} }},
	{"tls-client-refused", "tls", title("集群端拒绝某个客户端的证书", "rbd-api rejects the certificate of a client"), alerts("RainbondTLSHandshakeErrors"),
		func(w *world) {
			if w.goVersion119 { // as a real server that is built with Go 1.19.8 logs
				w.replayedErrors = []string{`tls: failed to verify client certificate: x509: certificate signed by unknown authority (possibly because of "crypto/rsa: verification error" while trying to verify candidate authority certificate "Goodrain, INC.")`}
				return
			}
			w.clients = []clientFunc{goClient(w.generation(usual), w.generation(other))}
		}},
	{"tls-scanner", "tls", title("端口扫描和健康检查（不是故障）", "Port scanners and load balancer health checks connect to rbd-api (not a fault)"), nil,
		func(w *world) {
			for range 10 {
				w.clients = append(w.clients, clientWithoutCertificate, plaintextClient(""), plaintextClient("GET / HTTP/1.0\r\n\r\n"), plaintextClient("\x00rubbish\r\n\r\n"))
			}
		}},
}

var nodeRoleScenarios = []Scenario{
	{"node-role-none", "node-role", title("五个节点中有一个没有角色标签", "One node of five has no role label"), alerts("RainbondNodeRoleLabelMissing"),
		func(w *world) { delete(w.node("node-5").Labels, roleLabel+"/worker") }},
	{"node-role-bare-key", "node-role", title("一个节点的标签键缺少角色，整个节点列表失败", "A role label without a role name on one node breaks the whole node list"), alerts("RainbondNodeListBroken"),
		func(w *world) { w.node("node-4").Labels[roleLabel] = "worker" }},
	{"node-role-suffix", "node-role", title("节点有标签 node-role.kubernetes.io.gpu，整个节点列表失败", "The label node-role.kubernetes.io.gpu on one node breaks the whole node list"), alerts("RainbondNodeListBroken"),
		func(w *world) { w.node("node-4").Labels[roleLabel+".gpu"] = "true" }},
	{"node-role-no-worker", "node-role", title("没有任何 worker 节点", "The last node lost the role worker"), nil,
		func(w *world) {
			for _, n := range w.nodes {
				delete(n.Labels, roleLabel+"/worker")
				n.Labels[roleLabel+"/control-plane"] = ""
			}
		}},
	{"node-role-placement", "node-role", title("nodesForChaos 中有一个不存在的节点", "nodesForChaos contains a node that does not exist"), alerts("RainbondPlacementNodeMissing"),
		func(w *world) { w.spec.chaos = append(w.spec.chaos, "node-8") }},
	{"node-joining", "node-role", title("新节点刚加入（不是故障）", "A new node has just joined (not a fault)"), nil,
		func(w *world) {
			n := w.newNode("node-6", "192.168.1.16", 0)
			n.CreationTimestamp.Time = time.Now().Truncate(time.Second)
			for i, c := range n.Status.Conditions { // its network is not yet set up
				if c.Type == corev1.NodeReady {
					n.Status.Conditions[i].Status, n.Status.Conditions[i].Reason = corev1.ConditionFalse, "KubeletNotReady"
				}
			}
			w.nodes = append(w.nodes, n)
		}},
	{"node-role-empty-value", "node-role", title("角色标签的值为空（不是故障）", "Role labels have empty values (not a fault)"), nil,
		func(w *world) {
			for _, n := range w.nodes {
				role := "worker"
				if _, ok := n.Labels[roleLabel+"/control-plane"]; ok {
					role = "control-plane"
				}
				for _, key := range []string{"control-plane", "etcd", "master", "worker"} {
					delete(n.Labels, roleLabel+"/"+key)
				}
				n.Labels[roleLabel+"/"+role] = ""
			}
		}},
}

var diskScenarios = []Scenario{
	{"disk-82", "disk", title("根分区使用率 82%", "The root file system is 82% full"), alerts("RainbondNodeDiskFilling"),
		func(w *world) { w.root = filesystem(0.82, 0.9) }},
	// The kubelet evicts below 5 % in every installation that Rainbond makes.
	{"disk-near", "disk", title("根分区使用率 93.5%，接近驱逐阈值", "The root file system is 93.5% full, close to eviction"), alerts("RainbondNodeDiskEvictionNear"),
		func(w *world) { w.root = filesystem(0.935, 0.85) }},
	{"disk-filling-fast", "disk", title("根分区使用率 78%，四小时内将满", "The root file system is 78% full and will be full within four hours"), nil,
		func(w *world) { w.root = filesystem(0.78, 0.9) }},
	{"disk-pressure", "disk", title("节点磁盘压力，两个组件的 Pod 被驱逐", "A node under disk pressure evicted the pods of two components"), alerts("RainbondNodeDiskPressure"),
		func(w *world) { w.pressure("node-4", "rbd-worker", "rbd-mq") }},
	{"disk-takes-api", "disk", title("磁盘压力驱逐了 rbd-api", "Disk pressure evicted rbd-api"), alerts("RainbondNodeDiskPressure"),
		func(w *world) {
			w.pressure("node-5", "rbd-api", "rbd-app-ui")
			w.listener.behaviour = hangsUp
		}},
	{"disk-inodes", "disk", title("inode 只剩 3%", "Only 3% of the inodes are free"), alerts("RainbondNodeInodesLow"),
		func(w *world) { w.root = filesystem(0.46, 0.03) }},
	{"disk-readonly", "disk", title("根分区变为只读", "The root file system is read-only"), alerts("RainbondNodeRootReadOnly"),
		func(w *world) { w.root.ReadOnly = true }},
	{"disk-images-near", "disk", title("镜像所在的单独磁盘使用率 96%", "The separate disk for images is 96% full"), alerts("RainbondNodeDiskEvictionNear"),
		func(w *world) {
			if len(w.mounts) == 0 {
				w.mounts = []fault.Mount{dataMount("/var/lib/rancher")}
			}
			w.mounts[0].Filesystem = filesystem(0.96, 0.9)
		}},
	{"disk-mount-stuck", "disk", title("NFS 挂载没有响应，df -h 卡住", "An NFS mount does not respond, and df -h hangs"), alerts("RainbondNodeMountStuck"),
		func(w *world) {
			w.mounts = []fault.Mount{{Point: "/mnt/backup", Source: "10.0.0.9:/export", Type: "nfs4",
				Err: fmt.Errorf("%w since %s", fault.ErrNoAnswer, w.began.UTC().Format(time.RFC3339))}}
		}},
}

var regionScenarios = []Scenario{
	{"two-regions", slugRegion, title("两个集群：一个的 rbd-api 宕机，另一个的证书不一致", "Two regions: the API of one is down, the certificates of the other differ"), alerts("RainbondConsoleCertificateMismatch", "RainbondRegionAPIDown"),
		func(w *world) {
			crashLoop(w.pod("rbd-api"), "create db manager failure: dial tcp: lookup rbd-db-rw: no such host")
			w.listener.behaviour = refuses
			w.second = w.another()
			w.second.served = w.generation(other)
		}},
	{"region-disabled", slugRegion, title("停用和编辑中的集群连不上（不是故障）", "Regions that are disabled or being edited are unreachable (not a fault)"), nil,
		func(w *world) { w.table = []row{{name: "second", status: "2"}, {name: "third", status: "0"}} }},
}

var watchScenarios = []Scenario{
	{"watch-forbidden", slugWatch, title("无权列出 Deployment", "The exporter has no permission to list Deployments"), alerts("RainbondCollectorFailing"),
		func(w *world) { w.forbidden = []string{"deployments"} }},
	{"watch-db-locked", slugWatch, title("控制台的数据库被锁住", "The console's database is locked"), alerts("RainbondCollectorFailing"),
		func(w *world) {
			w.databaseLocked = true
			if w.table == nil { // next to the files of the regions
				w.table = []row{}
			}
		}},
	{"watch-kube-down", slugWatch, title("Kubernetes API 不可用", "The Kubernetes API is down"), alerts("RainbondCollectorFailing"),
		func(w *world) { w.kubeDown = true }},
}
