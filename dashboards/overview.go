package dashboards

import "strings"

func overview(tr translation) dashboard {
	all := symptoms(tr)
	regions := table{by: tr("Severity", "严重程度"), columns: []column{
		{title: tr("Region", "集群"), label: "rainbond_region", link: "rainbond-path", width: 200},
	}}
	var over []line
	for _, s := range all {
		regions.columns = append(regions.columns, s.column())
		over = append(over, line{count(s.query() + " > 0"), s.title})
	}
	regions.columns = append(regions.columns, column{title: regions.by, expr: severity(all), hidden: true})
	number := func(severity string) string { // the rows of two Prometheus servers differ in their external labels
		return count(by("max", alertLabels, firing(`severity="`+severity+`"`)))
	}
	failing := by("min", "cluster, job, instance, collector", ofExporter("rainbond_collector_success")) + " == 0"
	unread := "time() - " + by("max", "cluster, job, instance", ofExporter("rainbond_regions_last_read_timestamp_seconds"))
	bad := func(color string) []step { return []step{{nil, green}, {1, color}} }
	return dashboard{
		uid: "rainbond-overview", title: tr("Rainbond / Overview", "Rainbond / 总览"),
		description: tr("Is each region healthy, and if not, why?", "每个集群是否正常？不正常的原因是什么？"),
		panels: []panel{
			{
				id: 1, title: tr("Regions", "集群"), width: 4, height: 4, unit: "short", section: "start",
				description:   tr("Monitored regions.", "正在监控的集群数。"),
				visualization: stat{"count(" + by("max", "cluster, rainbond_region", of("rainbond_api_up")) + ")"},
			},
			{
				id: 2, title: tr("Unhealthy", "不正常"), width: 4, height: 4, unit: "short", section: "start", steps: bad(red),
				description:   tr("Regions with at least one symptom in the table below.", "下表中至少有一个症状的集群数。"),
				visualization: stat{count(severity(all) + " > 0")},
			},
			{
				id: 3, title: tr("Critical alerts", "紧急告警"), width: 4, height: 4, unit: "short", section: "start", steps: bad(red),
				description:   tr("Firing alerts of severity critical, including inhibited ones.", "正在触发的 critical 告警数，包括被根因抑制的。"),
				visualization: stat{number("critical")},
			},
			{
				id: 4, title: tr("Warning alerts", "警告"), width: 4, height: 4, unit: "short", section: "start", steps: bad(orange),
				description:   tr("Firing alerts of severity warning, including inhibited ones.", "正在触发的 warning 告警数，包括被根因抑制的。"),
				visualization: stat{number("warning")},
			},
			{
				id: 5, title: tr("Failing collectors", "无法采集"), width: 4, height: 4, unit: "short", alerts: []alert{collectorFailing}, steps: bad(red),
				description:   tr("The state that these collectors check is unknown.", "这些采集器检查的状态是未知的：没有消息不等于好消息。"),
				visualization: stat{count(failing)},
			},
			{
				id: 6, title: tr("Exporters", "exporter"), width: 4, height: 4, unit: "percentunit", alerts: []alert{exporterDown, watchdog},
				steps:         []step{{nil, red}, {1, green}},
				description:   tr("The ratio of exporters that Prometheus can scrape. The name of their job must contain rainbond-exporter.", "Prometheus 能抓取到的 exporter 所占比例；job 名必须包含 rainbond-exporter。"),
				visualization: stat{"avg(" + by("max", "cluster, rainbond_region, job, instance", ofExporter("up", `job=~".*rainbond-exporter.*"`)) + ")"},
			},
			{
				id: 7, title: tr("Regions, the worst first", "集群，最差的在最上"), width: 24, height: 12, unit: "string", section: "start",
				description: tr("One row per region, one column per symptom. A cell contains the reason and links to the dashboard with the details. An empty cell means that the symptom is not checked.",
					"每个集群一行，每种症状一列。单元格用一个词说明原因，点击可进入详细的仪表盘；空白表示没有采集。"),
				visualization: regions,
			},
			{
				id: 8, title: tr("Unhealthy regions by symptom", "不正常的集群数，按症状"), width: 12, height: 9, unit: "short", section: "start",
				description:   tr("Number of regions with each symptom. Many at once usually have one cause: the console's network, or a release.", "每种症状涉及多少个集群。许多集群同时出现，原因往往只有一个：控制台的网络，或一次发布。"),
				visualization: graph{lines: over},
			},
			{
				id: 9, title: tr("Firing alerts", "正在触发的告警"), width: 12, height: 9, unit: "short", section: "start", empty: tr("none", "无"),
				description: tr("All alerts except RainbondWatchdog, critical ones first. Alertmanager notifies only of the root cause; this table also contains the inhibited alerts.", "除 RainbondWatchdog 外的全部告警，紧急的在前。Alertmanager 只通知根因，这里连症状一起列出。"),
				visualization: table{by: tr("Severity", "级别"), least: true, columns: []column{
					{title: tr("Severity", "级别"), label: "severity", width: 90, names: []name{{"critical", tr("critical", "紧急"), red}, {"warning", tr("warning", "警告"), orange}}},
					{title: tr("Alert", "告警"), label: "alertname", width: 270},
					{title: tr("Region", "集群"), label: "rainbond_region"},
					{title: tr("Node", "节点"), label: "node"},
					{title: tr("Component", "组件"), label: "component"},
					{title: tr("Number", "数量"), hidden: true, expr: highest(listed, by("max", "severity, alertname, cluster, rainbond_region, node, component", firing(`alertname!="RainbondWatchdog"`)))},
				}},
			},
			{id: 10, title: tr("Monitoring of the exporters", "exporter 自身的监控"), visualization: heading{}},
			{
				id: 11, title: tr("Failing collectors", "无法采集的采集器"), width: 12, height: 8, unit: "short", alerts: []alert{collectorFailing}, empty: tr("empty: all collectors succeed", "无：所有采集器都正常"),
				description: tr("Collectors that failed, and exporters that have not read the regions from the console's database for three minutes. These exporters still probe the regions that they read last.",
					"无法采集的采集器，以及三分钟没有从控制台数据库读到集群列表的 exporter：当时已知的集群仍在探测。"),
				visualization: table{columns: []column{
					{title: "exporter", label: "instance"},
					{title: tr("Collector", "采集器"), label: "collector"},
					{title: tr("Series", "数量"), expr: highest(listed, by("count", "cluster, instance, collector", failing)+" or "+by("count", "cluster, instance, collector", `label_replace(`+unread+` > 180, "collector", "region_info", "", "")`))},
				}},
			},
			{
				id: 12, title: tr("Collection duration", "每次采集耗时"), width: 12, height: 8, unit: "s", alerts: []alert{collectorFailing},
				description:   tr("The slowest exporter, for each collector. The duration should be far below the scrape timeout.", "各采集器中最慢的 exporter。应远低于抓取超时。"),
				visualization: graph{lines: []line{{by("max", "collector", ofExporter("rainbond_collector_duration_seconds")), "{{collector}}"}}},
			},
			{
				id: 13, title: tr("Age of the values", "数据的时间"), width: 24, height: 8, unit: "s", alerts: []alert{collectorFailing},
				description: tr("Time since the collection that the values come from, the oldest for each collector. It is short unless a collector does not finish within the scrape timeout.",
					"数据来自多久以前的采集，各采集器中最久的。除非采集器在抓取超时前没有完成，否则很短。"),
				visualization: graph{lines: []line{{"time() - " + by("min", "collector", ofExporter("rainbond_collector_last_collection_timestamp_seconds")), "{{collector}}"}}},
			},
			{
				id: 14, title: tr("Replaced labels and shared identities", "被覆盖的标签与重复的标识"), width: 24, height: 7, unit: "string", alerts: []alert{labelsRenamed, identityConflict}, empty: tr("empty: labels and identities are correct", "无：标签与标识正确"),
				description: tr("Scrape jobs that replace a label of the exporter, because honor_labels is not set; and regions and nodes that two platforms report under one identity. Both make alerts wrong.",
					"没有设置 honor_labels、因而覆盖了 exporter 标签的抓取 job；以及两个平台以同一标识上报的集群和节点。两者都会使告警出错。"),
				visualization: table{columns: []column{
					{title: "job", label: "job"}, {title: tr("Region", "集群"), label: "rainbond_region"}, {title: tr("Node", "节点"), label: "node"},
					{title: tr("Finding", "问题"), label: "finding", expr: highest(listed, identities()), names: []name{
						{"CAs", tr("two platforms with different CAs", "两个平台，CA 不同"), red}, {"disks", tr("two nodes with different disks", "两个节点，磁盘不同"), red},
						{"/^replaced: (.+)$/", tr("the job replaces the label $1", "job 覆盖了标签 $1"), orange},
					}},
				}},
			},
		},
	}
}

// identities returns what RainbondIdentityConflict and
// RainbondScrapeLabelsRenamed find, in the label finding.
func identities() string {
	finding := func(name, expr string) string {
		return `label_replace(` + expr + `, "finding", "` + name + `", "", "")`
	}
	all := []string{
		finding("CAs", by("count", "cluster, rainbond_region", by("count", "cluster, rainbond_region, sha256", of("rainbond_certificate_info", `place="region-config"`, `kind="ca"`)))+" > 1"),
		finding("disks", by("max", "cluster, rainbond_region, node", of("rainbond_node_root_size_bytes"))+" != "+by("min", "cluster, rainbond_region, node", of("rainbond_node_root_size_bytes"))),
	}
	for _, replaced := range [][2]string{
		{"node", "rainbond_node_root_size_bytes"}, {"node", "rainbond_node_condition"}, {"rainbond_region", "rainbond_api_up"}, {"rainbond_region", "rainbond_nodes"},
		{"component", "rainbond_component_ready"}, {"role", "rainbond_nodes"},
	} {
		all = append(all, finding("replaced: "+replaced[0], by("max", "cluster, job", ofExporter(replaced[1], `exported_`+replaced[0]+`!=""`))))
	}
	return strings.Join(all, " or ")
}
