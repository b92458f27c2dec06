package dashboards

func components(say words) dashboard {
	region := column{title: say("Region", "集群"), label: "rainbond_region"}
	component := column{title: say("Component", "组件"), label: "component"}
	each := func(metric string) string { return by("max", "rainbond_region, component, kind", of(metric)) }
	missing := "clamp_min(" + each("rainbond_component_desired") + " - " + each("rainbond_component_ready") + ", 0)"
	worst := " and " + highest(listed, missing) // the rows of the table
	lag := "clamp_min(time() - " + by("max", "rainbond_region", of("rainbond_monitor_last_scrape_timestamp_seconds")) + ", 0)"
	return dashboard{
		uid: "rainbond-components", title: say("Rainbond / Components", "Rainbond / 平台组件"),
		about: say("Are the platform's own components ready, and can the console's list of faults be trusted?", "平台组件是否就绪？控制台的组件故障列表可信吗？"),
		panels: []panel{
			{
				id: 1, title: say("Not ready", "未就绪"), width: 6, height: 4, unit: "short", alerts: []alert{notReady}, steps: []step{{nil, green}, {1, red}},
				about: say("Components with fewer ready pods than they should have, in all chosen regions.", "所选集群中就绪的 Pod 少于应有数量的组件数。"),
				draws: figure{count(missing + " > 0")},
			},
			{
				id: 2, title: say("Restarts", "重启"), width: 6, height: 4, unit: "short", alerts: []alert{notReady}, steps: []step{{nil, green}, {1, orange}},
				about: say("Container restarts of the platform's pods in the chosen time.", "所选时间内平台 Pod 的容器重启次数。"),
				draws: figure{"round(sum(increase(" + of("rainbond_component_restarts_total") + "[$__range]))) or vector(0)"},
			},
			{
				id: 3, title: say("rbd-monitor out of reach", "rbd-monitor 无法访问"), width: 6, height: 4, unit: "short", alerts: []alert{monitorStale}, steps: []step{{nil, green}, {1, orange}},
				about: say("Regions whose API cannot reach rbd-monitor: the console's list of faults is empty there, whatever is ill.", "集群端 API 访问不到 rbd-monitor 的集群数：那里控制台的故障列表总是空的。"),
				draws: figure{count(by("min", "rainbond_region", of("rainbond_monitor_up")) + " == 0")},
			},
			{
				id: 4, title: say("Evicted leftovers", "驱逐残留"), width: 6, height: 4, unit: "short", alerts: []alert{diskPressure},
				about: say("Evicted pods that lie about. They hold nothing and are no fault; many of them tell of past disk pressure.", "驱逐后留下的 Pod。不占资源，不是故障；数量多说明曾有磁盘压力。"),
				draws: figure{total(by("max", "rainbond_region", of("rainbond_pods_evicted")))},
			},
			{
				id: 5, title: say("Ready and desired", "就绪数与应有数"), width: 12, height: 12, unit: "short", alerts: []alert{notReady},
				about: say("Of each component, those that miss most first.", "各组件就绪的与应有的 Pod 数，缺得最多的在最上。"),
				draws: table{by: say("Missing", "缺少"), columns: []column{
					region, component, {title: say("Workload", "工作负载"), label: "kind"},
					{title: say("Ready", "就绪"), width: 80, expr: each("rainbond_component_ready") + worst},
					{title: say("Desired", "应有"), width: 80, expr: each("rainbond_component_desired") + worst},
					{title: say("Missing", "缺少"), width: 80, expr: highest(listed, missing), steps: []step{{nil, green}, {1, red}}},
				}},
			},
			{
				id: 6, title: say("What they wait for", "在等什么"), width: 12, height: 12, unit: "short", alerts: []alert{notReady}, none: say("none: all are ready", "无：全部就绪"),
				about: say("Pods that are not ready, by component and by what they wait for: the commonest over the chosen regions.", "未就绪的 Pod，按组件和原因；所选集群中最多的几种。"),
				draws: graph{lines: []line{{highest(most, by("sum", "component, reason", by("max", "rainbond_region, component, reason", of("rainbond_component_waiting")))), "{{component}} {{reason}}"}}},
			},
			{
				id: 7, title: say("Restarts over time", "重启次数"), width: 12, height: 9, unit: "short", alerts: []alert{notReady}, none: say("none", "无"),
				about: say("Container restarts between two points of the graph, of the components that restart most.", "图中相邻两点之间的容器重启次数，重启最多的组件。"),
				draws: graph{lines: []line{{highest(most, by("sum", "rainbond_region, component", "increase("+of("rainbond_component_restarts_total")+"[$__rate_interval])")+" > 0"), "{{rainbond_region}} {{component}}"}}},
			},
			{
				id: 8, title: say("What the console shows", "控制台显示的故障"), width: 12, height: 9, unit: "string", alerts: []alert{alarmStuck}, none: say("none: the console shows no fault", "无：控制台没有显示故障"),
				about: say("Alarms of rbd-monitor that the console lists as component faults, pending ones included. A component that is ready nevertheless is shown wrongly.",
					"控制台列为组件故障的 rbd-monitor 告警，包括 pending 的。组件其实就绪的，就是误报。"),
				draws: table{by: say("In truth", "实际"), columns: []column{
					region, component, {title: say("Alarm", "告警"), label: "alarm"},
					{title: say("In truth", "实际"), label: "truth", names: []name{{"ready", say("ready: shown wrongly", "就绪：误报"), orange}, {"not ready", say("not ready", "未就绪"), red}},
						expr: highest(listed, by("max", "rainbond_region, component, alarm, truth",
							`label_replace(`+of("rainbond_component_alarm_firing")+` == 1 and on (rainbond_region, component) `+of("rainbond_component_ready")+` >= `+of("rainbond_component_desired")+`, "truth", "ready", "", "") or on (rainbond_region, component, alarm) label_replace(`+of("rainbond_component_alarm_firing")+` == 1, "truth", "not ready", "", "")`))},
				}},
			},
			{
				id: 9, title: say("rbd-monitor lags", "rbd-monitor 滞后"), width: 24, height: 8, unit: "s", alerts: []alert{monitorStale}, steps: []step{{nil, quiet}, {300, orange}},
				about: say("How long ago rbd-monitor collected anything, of the ten regions that lag most; above five minutes the console's list cannot be trusted. No line: it cannot be asked, or has not collected for an hour.",
					"rbd-monitor 距上次采集的时间，滞后最多的十个集群；超过五分钟，控制台的列表就不可信。没有曲线：问不到它，或者一小时没有采集。"),
				draws: graph{lines: []line{{highest(most, lag), "{{rainbond_region}}"}}},
			},
		},
	}
}
