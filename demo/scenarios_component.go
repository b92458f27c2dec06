package demo

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

var componentScenarios = []Scenario{
	{"component-crashloop", "component", title("rbd-chaos 反复崩溃", "rbd-chaos is crash looping"), alerts("RainbondComponentNotReady"),
		func(w *world) { crashLoop(w.pod("rbd-chaos"), "dial tcp rbd-mq:6300: connect: connection refused") }},
	{"component-image", "component", title("rbd-chaos 拉取镜像失败", "The image of rbd-chaos cannot be pulled"), alerts("RainbondComponentNotReady"),
		func(w *world) {
			waiting(w.pod("rbd-chaos"), "ImagePullBackOff", `Back-off pulling image "rainbond/rbd-chaos:`+version+`"`)
		}},
	{"component-pending", "component", title("rbd-worker 无法调度", "rbd-worker cannot be scheduled"), alerts("RainbondComponentNotReady"),
		func(w *world) { unschedulable(w.pod("rbd-worker"), "0/5 nodes are available: 5 Insufficient memory.") }},
	{"component-mount", "component", title("rbd-api 挂载卷失败", "rbd-api cannot mount a volume"), alerts("RainbondRegionAPIDown"),
		func(w *world) {
			containerCreating(w.pod("rbd-api"))
			w.addEvent(w.pod("rbd-api"), "FailedMount", `MountVolume.SetUp failed for volume "accesslog" : hostPath type check failed: /opt/rainbond/logs/rbd-api is not a directory`)
			w.listener.behaviour = hangsUp
		}},
	{"component-sandbox", "component", title("节点上没有网络插件的配置，rbd-worker 的 Pod 起不来", "The network plugin of a node is not configured, and the pod of rbd-worker cannot start"), alerts("RainbondComponentNotReady"),
		func(w *world) {
			containerCreating(w.pod("rbd-worker"))
			w.addEvent(w.pod("rbd-worker"), "FailedCreatePodSandBox", `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "`+strings.Repeat("3f9a", 16)+`": plugin type="flannel" failed (add): open /run/flannel/subnet.env: no such file or directory`)
		}},
	{"component-gone", "component", title("rbd-mq 一个 Pod 也没有", "rbd-mq has no pod"), alerts("RainbondComponentNotReady"),
		func(w *world) { w.component("rbd-mq").pods = nil }},
	{"component-chaos-nowhere", "component", title("nodesForChaos 指定的节点不存在", "nodesForChaos names only a node that does not exist"), alerts("RainbondComponentNotReady"),
		func(w *world) {
			c := w.component("rbd-chaos")
			c.pinned, c.pods, c.desired = []string{"node-9"}, nil, 0
			w.spec.chaos = c.pinned
		}},
	{"component-half", "component", title("rbd-gateway 的两个容器只有一个就绪", "One of the two containers of rbd-gateway is not ready"), alerts("RainbondComponentNotReady"),
		func(w *world) {
			firstContainerNotReady(w.pod("rbd-gateway"))
		}},
	{"component-scaled-down", "component", title("管理员将 rbd-hub 缩容到 0（不是故障）", "An administrator scaled rbd-hub to 0 (not a fault)"), nil,
		func(w *world) { w.component("rbd-hub").desired, w.component("rbd-hub").pods = 0, nil }},
	{"component-job", "component", title("hosts-job 失败（不是故障）", "A hosts-job failed (not a fault)"), nil,
		func(w *world) {
			for _, p := range w.otherPods {
				if p.OwnerReferences[0].Kind == "Job" && p.Labels["name"] == "rbd-hub" {
					terminate(p, corev1.PodFailed, 1, "Error")
				}
			}
		}},
	{"component-unmade", "component", title("operator 没有创建 rbd-worker", "The operator has not created rbd-worker"), alerts("RainbondComponentNotReady"),
		func(w *world) {
			w.remove("rbd-worker")
			w.workloadMissing = []string{"rbd-worker"}
		}},
	{"component-database", "component", title("数据库 rbd-db 崩溃，rbd-api 和控制台都起不来", "rbd-db is crash looping, and neither rbd-api nor the console starts"), alerts("RainbondRegionAPIDown"),
		func(w *world) {
			crashLoop(w.pod("rbd-db"), "Can't open and lock privilege tables: Table 'mysql.user' doesn't exist")
			for _, name := range []string{"rbd-api", "rbd-app-ui"} {
				firstContainerNotReady(w.pod(name))
			}
			// It does not listen before the database answers.
			w.listener.behaviour = refuses
		}},
	{"component-operator-failing", "component", title("operator 无法为 rbd-api 创建资源", "The operator cannot create the resources of rbd-api"), alerts("RainbondOperatorFailing"),
		func(w *world) {
			w.operatorFails = []string{"rbd-api"}
			w.spec.addresses = []string{"192.168.100.11", "192.168.100.12", "192.168.100.13", "192.168.100.14", "192.168.100.15"}
		}},
	{"component-restart-pending", "component", title("rbd-api 用 rollout restart 重启过，operator 下次重启时会再重启它", "rbd-api was restarted with rollout restart, and the operator will restart it again"), alerts("RainbondRestartPending"),
		func(w *world) { w.component("rbd-api").restarted = w.ago(age).UTC().Format(time.RFC3339) }},
	{"component-degraded", "component", title("rbd-gateway 的两个 Pod 只有一个就绪", "One of the two pods of rbd-gateway is ready"), alerts("RainbondComponentNotReady"),
		func(w *world) {
			c := w.component("rbd-gateway")
			second := w.newPod(podName(c.name, c.kind, 2), ownerOf(c.name, c.kind), c.labels, "", c.name)
			unschedulable(second, "0/5 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.")
			c.desired, c.pods = 2, append(c.pods, second)
		}},
	{"component-node-down", "component", title("一个节点不可用，rbd-api 和 rbd-monitor 的 Pod 停在 Terminating", "A node is down, and the pods of rbd-api and rbd-monitor stay in Terminating"), alerts("RainbondNodeDown"),
		func(w *world) {
			w.pod("rbd-monitor").Spec.NodeName = "node-5"
			w.down("node-5")
			w.listener.behaviour = hangsUp
		}},
	{"component-node-down-idle", "component", title("一个没有平台组件的节点不可用", "A node without platform components is down"), alerts("RainbondNodeDown"),
		func(w *world) {
			w.nodes = append(w.nodes, w.newNode("node-6", "192.168.1.16", age))
			w.nodes[len(w.nodes)-1].Labels[roleLabel+"/worker"] = "true"
			w.down("node-6")
		}},
	{"component-node-drained", "component", title("一个节点已排空并关机（不是故障）", "A drained node is switched off (not a fault)"), nil,
		func(w *world) {
			w.nodes = append(w.nodes, w.newNode("node-6", "192.168.1.16", age))
			n := w.nodes[len(w.nodes)-1]
			n.Labels[roleLabel+"/worker"], n.Spec.Unschedulable = "true", true
			w.down(n.Name)
		}},
	{"component-alarm-stuck", "component", title("控制台一直显示 rbd-chaos 故障，而它是正常的", "The console reports a fault of rbd-chaos, which is healthy"), alerts("RainbondComponentAlarmStuck"),
		func(w *world) { w.listener.api.monitor.firing = []string{"BuilderDown"} }},
	{"component-monitor-stale", "component", title("rbd-monitor 停止采集，控制台的故障列表不可信", "rbd-monitor has stopped scraping, and the console's fault list is stale"), alerts("RainbondMonitorStale"),
		func(w *world) {
			w.listener.api.monitor.stale = 40 * time.Minute
			// What it does not see any more, it takes for gone.
			w.listener.api.monitor.firing = []string{"APIDown", "BuilderDown", "MqDown", "WorkerDown"}
		}},
	{"component-external", "component", title("使用外部数据库和镜像仓库（不是故障）", "The database and the registry are external (not a fault)"), nil,
		func(w *world) {
			w.remove("rbd-db", "rbd-hub")
			w.spec.externalDB, w.spec.externalHub = true, true
		}},
	{"component-rolling", "component", title("所有组件正在滚动更新（不是故障）", "A rolling update of every component is in progress (not a fault)"), nil,
		func(w *world) {
			for _, c := range w.components {
				if c.kind == "Deployment" && len(c.pods) > 0 { // which starts the new pod before it ends the old one
					next := w.newPod(podName(c.name, c.kind, 2000), c.pods[0].OwnerReferences[0], c.labels, c.pods[0].Spec.NodeName, c.name)
					containerCreating(next)
					c.pods = append(c.pods, next)
				}
			}
		}},
}
