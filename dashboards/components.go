package dashboards

func components(tr translation) dashboard {
	region := column{title: tr("Region", "集群"), label: "rainbond_region"}
	component := column{title: tr("Component", "组件"), label: "component"}
	each := func(metric string) string { return by("max", "cluster, rainbond_region, component, kind", of(metric)) }
	only := func(metric string) string { // which has no series for most components, and no label kind
		return "(0 * " + each("rainbond_component_desired") + " + on (cluster, rainbond_region, component) group_left " + by("max", "cluster, rainbond_region, component", of(metric)) + ")"
	}
	restarts := func(over string) string {
		return by("max", "cluster, rainbond_region, component", "increase("+of("rainbond_component_restarts_total")+"["+over+"])")
	}
	missing := "clamp_min(" + each("rainbond_component_desired") + " - " + each("rainbond_component_ready") + ", 0)"
	worst := " and " + highest(listed, missing) // the rows of the table
	lag := "clamp_min(time() - " + by("max", "cluster, rainbond_region", of("rainbond_monitor_last_scrape_timestamp_seconds")) + ", 0)"
	return dashboard{
		uid: "rainbond-components", title: tr("Rainbond / Components", "Rainbond / 平台组件"),
		description: tr("Are the platform components ready, and is the console's list of component faults reliable?", "平台组件是否就绪？控制台的组件故障列表可信吗？"),
		panels: []panel{
			{
				id: 1, title: tr("Not ready", "未就绪"), width: 6, height: 4, unit: "short", alerts: []alert{notReady}, steps: []step{{nil, green}, {1, red}},
				description:   tr("Components with fewer ready pods than desired, in all selected regions.", "所选集群中就绪的 Pod 少于应有数量的组件数。"),
				visualization: stat{count(missing + " > 0")},
			},
			{
				id: 2, title: tr("Restarts", "重启"), width: 6, height: 4, unit: "short", alerts: []alert{notReady}, steps: []step{{nil, green}, {1, orange}},
				description:   tr("Container restarts of the platform's pods in the selected time range.", "所选时间内平台 Pod 的容器重启次数。"),
				visualization: stat{"round(sum(" + restarts("$__range") + ")) or vector(0)"},
			},
			{
				id: 3, title: tr("rbd-monitor unreachable", "rbd-monitor 无法访问"), width: 6, height: 4, unit: "short", alerts: []alert{monitorStale}, steps: []step{{nil, green}, {1, orange}},
				description:   tr("Regions whose API cannot reach rbd-monitor. The console's list of component faults is then always empty.", "集群端 API 访问不到 rbd-monitor 的集群数：那里控制台的故障列表总是空的。"),
				visualization: stat{count(by("min", "cluster, rainbond_region", of("rainbond_monitor_up")) + " == 0")},
			},
			{
				id: 4, title: tr("Evicted pods", "驱逐残留"), width: 6, height: 4, unit: "short", alerts: []alert{diskPressure},
				description:   tr("Evicted pods that still exist. They use no resources and are not a fault. A large number indicates past disk pressure.", "驱逐后留下的 Pod。不占资源，不是故障；数量多说明曾有磁盘压力。"),
				visualization: stat{total(by("max", "cluster, rainbond_region", of("rainbond_pods_evicted")))},
			},
			{
				id: 5, title: tr("Ready and desired pods", "就绪数与应有数"), width: 12, height: 12, unit: "short", alerts: []alert{notReady, restartPending, operatorFailing},
				description: tr("Ready and desired pods of each component, the most missing first.", "各组件就绪的与应有的 Pod 数，缺得最多的在最上。"),
				visualization: table{by: tr("Missing", "缺少"), columns: []column{
					region, component, {title: tr("Workload", "工作负载"), label: "kind"},
					{title: tr("Ready", "就绪"), width: 80, expr: each("rainbond_component_ready") + worst},
					{title: tr("Desired", "应有"), width: 80, expr: each("rainbond_component_desired") + worst},
					{title: tr("Missing", "缺少"), width: 80, expr: highest(listed, missing), steps: []step{{nil, green}, {1, red}}},
					{title: tr("Restart", "待重启"), width: 80, expr: only("rainbond_component_restart_pending") + worst},
					{title: tr("Operator fails", "operator 失败"), width: 80, expr: only("rainbond_operator_component_failed") + worst, steps: []step{{nil, green}, {1, orange}}},
				}},
			},
			{
				id: 6, title: tr("Waiting reasons", "在等什么"), width: 12, height: 12, unit: "short", alerts: []alert{notReady}, empty: tr("empty: all pods are ready", "无：全部就绪"),
				description:   tr("Pods that are not ready, by component and reason: the most frequent ones in the selected regions.", "未就绪的 Pod，按组件和原因；所选集群中最多的几种。"),
				visualization: graph{lines: []line{{highest(most, by("sum", "component, reason", by("max", "cluster, rainbond_region, component, reason", of("rainbond_component_waiting")))), "{{component}} {{reason}}"}}},
			},
			{
				id: 7, title: tr("Restarts over time", "重启次数"), width: 12, height: 9, unit: "short", alerts: []alert{notReady}, empty: tr("none", "无"),
				description:   tr("Container restarts between two points of the graph, for the components that restart most.", "图中相邻两点之间的容器重启次数，重启最多的组件。"),
				visualization: graph{lines: []line{{highest(most, restarts("$__rate_interval")+" > 0"), "{{cluster}} {{rainbond_region}} {{component}}"}}},
			},
			{
				id: 8, title: tr("Faults that the console reports", "控制台显示的故障"), width: 12, height: 9, unit: "string", alerts: []alert{alarmStuck}, empty: tr("empty: the console reports no fault", "无：控制台没有显示故障"),
				description: tr("Alarms of rbd-monitor that the console (6.4.1 and older) lists as component faults, including pending ones. A fault of a component that is ready is false.",
					"控制台列为组件故障的 rbd-monitor 告警，包括 pending 的。组件其实就绪的，就是误报。"),
				visualization: table{by: tr("Actual state", "实际"), columns: []column{
					region, component, {title: tr("Alarm", "告警"), label: "alarm"},
					{title: tr("Actual state", "实际"), label: "truth", names: []name{{"ready", tr("ready: false alarm", "就绪：误报"), orange}, {"not ready", tr("not ready", "未就绪"), red}},
						expr: highest(listed, by("max", "cluster, rainbond_region, component, alarm, truth",
							`label_replace(`+of("rainbond_component_alarm_firing")+` == 1 and on (cluster, rainbond_region, component) `+of("rainbond_component_ready")+` >= `+of("rainbond_component_desired")+`, "truth", "ready", "", "") or on (cluster, rainbond_region, component, alarm) label_replace(`+of("rainbond_component_alarm_firing")+` == 1, "truth", "not ready", "", "")`))},
				}},
			},
			{
				id: 9, title: tr("rbd-monitor lag", "rbd-monitor 滞后"), width: 24, height: 8, unit: "s", alerts: []alert{monitorStale}, steps: []step{{nil, quiet}, {300, orange}},
				description: tr("Time since rbd-monitor's last scrape, for the ten regions with the greatest lag. Above five minutes the console's list of component faults is unreliable. No line: rbd-monitor is unreachable or has not scraped for an hour.",
					"rbd-monitor 距上次采集的时间，滞后最多的十个集群；超过五分钟，控制台的列表就不可信。没有曲线：问不到它，或者一小时没有采集。"),
				visualization: graph{lines: []line{{highest(most, lag), "{{cluster}} {{rainbond_region}}"}}},
			},
		},
	}
}
