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

// A Scenario is one way for a region to be broken, or to look broken and be
// well.
type Scenario struct {
	Name  string
	Slug  string            // the symptom that it belongs to; "healthy" and "watch" are none of the six
	Title map[string]string // what breaks, by language: zh, en
	// Alerts are the names of exactly those alerts that must be told, once
	// symptoms stand under their cause. Empty: nothing is wrong.
	Alerts []string
	breaks func(*world) // nil: nothing
}

// Healthy is the scenario in which all is well.
const Healthy = "healthy"

// Slugs of scenarios that are none of the six symptoms.
const (
	slugHealthy = "healthy"
	slugRegion  = "region" // a console with several
	slugWatch   = "watch"
)

// Scenarios are all there are, by symptom, in the order of the document.
var Scenarios = slices.Concat(
	[]Scenario{{Name: Healthy, Slug: slugHealthy, Title: title("一切正常", "all is well")}},
	apiScenarios, tlsScenarios, certScenarios, nodeRoleScenarios, componentScenarios, diskScenarios, regionScenarios, watchScenarios,
)

// inTime are the alerts of scenarios that no single look can tell, for they
// are about what happened before.
var inTime = map[string][]string{
	"api-flapping":      alerts("RainbondRegionAPIUnstable"),
	"disk-filling-fast": alerts("RainbondNodeDiskEvictionNear"),
}

// InTime are the names of exactly those alerts that must be told once the
// scenario has gone on for as long as the rules want.
func (s Scenario) InTime() []string {
	all := s.Alerts
	for one := range strings.SplitSeq(s.Name, and) {
		all = union(all, inTime[one])
	}
	return all
}

// And is both scenarios at once, under both names. Its Alerts are those of
// either, which holds where neither hides or explains what the other breaks.
func (s Scenario) And(other Scenario) Scenario {
	return Scenario{
		Name: s.Name + and + other.Name, Slug: s.Slug,
		Title:  title(s.Title["zh"]+"；"+other.Title["zh"], s.Title["en"]+"; "+other.Title["en"]),
		Alerts: union(s.Alerts, other.Alerts),
		breaks: func(w *world) {
			for _, one := range []Scenario{s, other} {
				if one.breaks != nil {
					one.breaks(w)
				}
			}
		},
	}
}

// and stands between the names of scenarios that hold at once.
const and = "+"

func union(some, others []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(some, others))))
}

func title(zh, en string) map[string]string { return map[string]string{"zh": zh, "en": en} }

// alerts makes the table read well.
func alerts(names ...string) []string { return names }

var apiScenarios = []Scenario{
	{"api-name-unknown", "api", title("域名无法解析", "the region's name has no address"), alerts("RainbondRegionUnreachable"),
		// No name server may ever know a name under .invalid (RFC 6761).
		func(w *world) { w.url = "https://region.rainbond.invalid:8443" }},
	{"api-name-silent", "api", title("域名服务器没有应答", "the name server does not answer"), alerts("RainbondRegionUnreachable"),
		func(w *world) { w.url, w.unnamed = "https://region.rainbond.invalid:8443", true }},
	{"api-dropped", "api", title("报文被防火墙丢弃，连接超时", "packets are dropped, connections time out"), alerts("RainbondRegionUnreachable"),
		func(w *world) { w.door.behaviour = drops }},
	{"api-no-route", "api", title("没有到集群端的路由", "no route to the region"), alerts("RainbondRegionUnreachable"),
		// The kernel itself refuses TCP to the broadcast address, and sends nothing.
		func(w *world) {
			w.url = "https://255.255.255.255:8443"
			w.node("node-1").Status.Addresses = append(w.node("node-1").Status.Addresses, corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: "255.255.255.255"})
		}},
	{"api-address-moved", "api", title("服务器换了 IP，地址不属于任何节点", "the server's IP has changed, the address is no node's any more"), alerts("RainbondRegionUnreachable"),
		// As above: the broadcast address of the loopback network.
		func(w *world) { w.url = "https://127.255.255.255:8443" }},
	{"api-refused-pod-ready", "api", title("rbd-api 就绪，但端口拒绝连接", "the port is refused while rbd-api is ready"), alerts("RainbondRegionPortClosed"),
		func(w *world) { w.door.behaviour = refuses }},
	{"api-reset", "api", title("rbd-api 就绪，但连接被重置", "connections are reset while rbd-api is ready"), alerts("RainbondRegionPortClosed"),
		func(w *world) { w.door.behaviour = resets }},
	{"api-pod-down", "api", title("rbd-api 崩溃重启，端口拒绝连接", "rbd-api crashes, its port is refused"), alerts("RainbondRegionAPIDown"),
		func(w *world) {
			crashLoop(w.pod("rbd-api"), "create db manager failure: dial tcp: lookup rbd-db-rw: no such host")
			w.door.behaviour = refuses
		}},
	{"api-gateway-only", "api", title("网关接受连接，但后面没有 rbd-api", "the gateway accepts, and no rbd-api is behind it"), alerts("RainbondRegionAPIDown"),
		func(w *world) {
			w.component("rbd-api").pods = nil
			w.door.behaviour = hangsUp
		}},
	{"api-5xx", "api", title("API 返回 503", "the API answers 503"), alerts("RainbondRegionAPIDown"),
		func(w *world) {
			w.door.api = regionAPI{status: http.StatusServiceUnavailable, body: `{"error":"部分服务不可用"}`}
		}},
	{"api-504", "api", title("API 处理 5 秒后返回 504", "the API answers 504 after its own 5 s"), alerts("RainbondRegionAPIDown"),
		func(w *world) {
			w.door.api = regionAPI{status: http.StatusGatewayTimeout, body: "timeout", delay: 5 * time.Second}
		}},
	{"api-wrong-body", "api", title("端口返回的不是 Rainbond 的页面", "the page is not Rainbond's"), alerts("RainbondRegionAPIDown"),
		func(w *world) {
			w.door.api.body = "<!DOCTYPE html>\n<html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>\n"
		}},
	{"api-not-ready", "api", title("/v2/cluster/ready 返回 503", "/v2/cluster/ready says 503"), alerts("RainbondRegionAPIDown"),
		func(w *world) { w.door.api.notReady = true }},
	{"api-slow", "api", title("/v2/show 需要 1.5 秒", "/v2/show takes 1.5 s"), alerts("RainbondRegionAPISlow"),
		func(w *world) { w.door.api.delay = 1500 * time.Millisecond }},
	{"api-flapping", "api", title("每三次探测有一次失败，从不连续", "one probe in three fails, never two in a row"), nil,
		func(w *world) { w.door.api.flaky = 3 }},
	{"api-plain-http", "api", title("8443 端口返回明文 HTTP", "the port answers plain HTTP"), alerts("RainbondRegionTLSFailing"),
		func(w *world) { w.door.plainHTTP = true }},
	{"api-old-tls", "api", title("只支持 TLS 1.1 及更低版本", "only TLS 1.1 and older"), alerts("RainbondRegionTLSFailing"),
		func(w *world) { w.door.maxTLS = tls.VersionTLS11 }},
	{"api-tls-proxy", "api", title("中间的代理终结了 TLS", "a proxy in between ends TLS"), alerts("RainbondRegionTLSFailing"),
		func(w *world) { w.door.proxied = true }},
}

var tlsScenarios = []Scenario{
	{"tls-go-distrusts", "tls", title("Go 客户端不信任集群端证书", "a Go client distrusts the region"), alerts("RainbondTLSHandshakeErrors"),
		func(w *world) {
			w.visitors = []visitor{client(w.generation(other), w.generation(usual))}
		}},
	// What real OpenSSL 3.0 clients left in the real rbd-api's log.
	{"tls-openssl-distrusts-12", "tls", title("OpenSSL 客户端不信任集群端证书（TLS 1.2）", "an OpenSSL client distrusts the region (TLS 1.2)"), alerts("RainbondTLSHandshakeErrors"),
		func(w *world) { w.replayed = []string{"remote error: tls: unknown certificate authority"} }},
	{"tls-openssl-distrusts-13", "tls", title("OpenSSL 客户端不信任集群端证书（TLS 1.3）", "an OpenSSL client distrusts the region (TLS 1.3)"), alerts("RainbondTLSHandshakeErrors"),
		func(w *world) { w.replayed = []string{"local error: tls: bad record MAC"} }},
	{"tls-client-refused", "tls", title("集群端拒绝某个客户端的证书", "the region refuses a client's certificate"), alerts("RainbondTLSHandshakeErrors"),
		func(w *world) {
			w.visitors = []visitor{client(w.generation(usual), w.generation(other))}
		}},
	{"tls-scanner", "tls", title("端口扫描和健康检查（噪声）", "port scans and load balancer checks (noise)"), nil,
		func(w *world) {
			for range 10 {
				w.visitors = append(w.visitors, stranger, speaker(""), speaker("GET / HTTP/1.0\r\n\r\n"), speaker("\x00rubbish\r\n\r\n"))
			}
		}},
}

var nodeRoleScenarios = []Scenario{
	{"node-role-none", "node-role", title("五个节点中有一个没有角色标签", "one node of five has no role label"), alerts("RainbondNodeRoleLabelMissing"),
		func(w *world) { delete(w.node("node-5").Labels, roleLabel+"/worker") }},
	{"node-role-bare-key", "node-role", title("一个节点的标签键缺少角色，整个节点列表失败", "one node bears the bare key, and the whole node list fails"), alerts("RainbondNodeListBroken"),
		func(w *world) { w.node("node-4").Labels[roleLabel] = "worker" }},
	{"node-role-no-worker", "node-role", title("没有任何 worker 节点", "no node carries worker"), alerts("RainbondRoleWithoutNode"),
		func(w *world) {
			for _, n := range w.nodes {
				delete(n.Labels, roleLabel+"/worker")
				n.Labels[roleLabel+"/control-plane"] = ""
			}
		}},
	{"node-role-placement", "node-role", title("nodesForChaos 中有一个不存在的节点", "one name in nodesForChaos is no node's"), alerts("RainbondPlacementNodeMissing"),
		func(w *world) { w.orders.chaos = append(w.orders.chaos, "node-8") }},
	{"node-joining", "node-role", title("新节点刚加入（噪声）", "a node has just joined (noise)"), nil,
		func(w *world) {
			n := w.newNode("node-6", "192.168.1.16", 0)
			n.CreationTimestamp.Time = time.Now().Truncate(time.Second)
			w.nodes = append(w.nodes, n)
		}},
	{"node-role-empty-value", "node-role", title("角色标签的值为空（噪声）", "role labels with empty values (noise)"), nil,
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
	{"disk-82", "disk", title("根分区使用率 82%", "the root is 82 % full"), alerts("RainbondNodeDiskFilling"),
		func(w *world) { w.root = filesystem(0.82, 0.9) }},
	// The kubelet evicts below 5 % in every installation that Rainbond makes.
	{"disk-near", "disk", title("根分区使用率 93.5%，接近驱逐阈值", "the root is 93.5 % full, close to eviction"), alerts("RainbondNodeDiskEvictionNear"),
		func(w *world) { w.root = filesystem(0.935, 0.85) }},
	{"disk-filling-fast", "disk", title("根分区使用率 78%，四小时内将满", "the root is 78 % full, and full within four hours"), nil,
		func(w *world) { w.root = filesystem(0.78, 0.9) }},
	{"disk-pressure", "disk", title("节点磁盘压力，两个组件的 Pod 被驱逐", "a node under disk pressure has evicted two components' pods"), alerts("RainbondNodeDiskPressure"),
		func(w *world) { w.pressure("node-4", "rbd-worker", "rbd-mq") }},
	{"disk-takes-api", "disk", title("磁盘压力驱逐了 rbd-api", "disk pressure has evicted rbd-api"), alerts("RainbondNodeDiskPressure"),
		func(w *world) {
			w.pressure("node-5", "rbd-api", "rbd-app-ui")
			w.door.behaviour = hangsUp
		}},
	{"disk-inodes", "disk", title("inode 只剩 3%", "3 % of the inodes are left"), alerts("RainbondNodeInodesLow"),
		func(w *world) { w.root = filesystem(0.46, 0.03) }},
	{"disk-readonly", "disk", title("根分区变为只读", "the root has become read-only"), alerts("RainbondNodeRootReadOnly"),
		func(w *world) { w.root.ReadOnly = true }},
	{"disk-images-near", "disk", title("镜像所在的单独磁盘使用率 96%", "the disk of its own that holds the images is 96 % full"), alerts("RainbondNodeDiskEvictionNear"),
		func(w *world) {
			w.mounts = []fault.Mount{{Point: "/var/lib/rancher", Source: "/dev/vdb1", Type: "xfs", Data: "/var/lib/rancher", Filesystem: filesystem(0.96, 0.9)}}
		}},
	{"disk-mount-stuck", "disk", title("NFS 挂载没有响应，df -h 卡住", "an NFS mount does not answer, df -h hangs"), alerts("RainbondNodeMountStuck"),
		func(w *world) {
			w.mounts = []fault.Mount{{Point: "/mnt/backup", Source: "10.0.0.9:/export", Type: "nfs4",
				Err: fmt.Errorf("%w since %s", fault.ErrNoAnswer, w.began.UTC().Format(time.RFC3339))}}
		}},
}

var regionScenarios = []Scenario{
	{"two-regions", slugRegion, title("两个集群：一个的 rbd-api 宕机，另一个的证书不一致", "two regions: the API of one is down, the certificates of the other differ"), alerts("RainbondConsoleCertificateMismatch", "RainbondRegionAPIDown"),
		func(w *world) {
			crashLoop(w.pod("rbd-api"), "create db manager failure: dial tcp: lookup rbd-db-rw: no such host")
			w.door.behaviour = refuses
			w.second = w.another()
			w.second.served = w.generation(other)
		}},
	{"region-disabled", slugRegion, title("停用和编辑中的集群连不上（噪声）", "regions that are disabled or being edited are dead (noise)"), nil,
		func(w *world) { w.table = []row{{"second", "2"}, {"third", "0"}} }},
}

var watchScenarios = []Scenario{
	{"watch-forbidden", slugWatch, title("无权列出 Deployment", "Deployments may not be listed"), alerts("RainbondCollectorFailing"),
		func(w *world) { w.forbidden = []string{"deployments"} }},
	{"watch-kube-down", slugWatch, title("Kubernetes API 不可用", "the Kubernetes API is gone"), alerts("RainbondCollectorFailing"),
		func(w *world) { w.kubeDown = true }},
}
