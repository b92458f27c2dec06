package dashboards

func overview(say words) dashboard {
	all := symptoms(say)
	regions := table{by: say("Illness", "病情"), columns: []column{
		{title: say("Region", "集群"), label: "rainbond_region", leads: "rainbond-path", width: 200},
	}}
	var over []line
	for _, s := range all {
		regions.columns = append(regions.columns, s.column())
		over = append(over, line{count(s.query() + " > 0"), s.title})
	}
	regions.columns = append(regions.columns, column{title: regions.by, expr: illness(all), aside: true})
	firing := func(severity string) string {
		return count(`ALERTS{alertname=~"Rainbond.*", alertstate="firing", severity="` + severity + `", rainbond_region=~"($region)?"}`)
	}
	bad := func(color string) []step { return []step{{nil, green}, {1, color}} }
	return dashboard{
		uid: "rainbond-overview", title: say("Rainbond / Overview", "Rainbond / 总览"),
		about: say("Is each region well, and if not, why?", "每个集群是否正常？不正常的原因是什么？"),
		panels: []panel{
			{
				id: 1, title: say("Regions", "集群"), width: 4, height: 4, unit: "short", section: "start",
				about: say("Regions that are looked at.", "正在观察的集群数。"),
				draws: figure{"count(" + by("max", "rainbond_region", of("rainbond_api_up")) + ")"},
			},
			{
				id: 2, title: say("Not well", "不正常"), width: 4, height: 4, unit: "short", section: "start", steps: bad(red),
				about: say("Regions with at least one symptom in the table below.", "下表中至少有一个症状的集群数。"),
				draws: figure{count(illness(all) + " > 0")},
			},
			{
				id: 3, title: say("Pages", "紧急告警"), width: 4, height: 4, unit: "short", section: "start", steps: bad(red),
				about: say("Alerts of severity critical that fire, those kept back by their cause included.", "正在触发的 critical 告警数，包括被根因抑制的。"),
				draws: figure{firing("critical")},
			},
			{
				id: 4, title: say("Warnings", "警告"), width: 4, height: 4, unit: "short", section: "start", steps: bad(orange),
				about: say("Alerts of severity warning that fire, those kept back by their cause included.", "正在触发的 warning 告警数，包括被根因抑制的。"),
				draws: figure{firing("warning")},
			},
			{
				id: 5, title: say("Blind collectors", "无法采集"), width: 4, height: 4, unit: "short", alerts: []alert{cannotLook}, steps: bad(red),
				about: say("What these would find is unknown: no news from them is not good news.", "它们本该看到什么是未知的：没有消息不等于好消息。"),
				draws: figure{count("rainbond_collector_success == 0")},
			},
			{
				id: 6, title: say("Exporters", "exporter"), width: 4, height: 4, unit: "percentunit", alerts: []alert{exporterDown, watchdog},
				steps: []step{{nil, red}, {1, green}},
				about: say("The part of the exporters that Prometheus reaches. Their job's name must contain rainbond-exporter.", "Prometheus 能抓取到的 exporter 所占比例；job 名必须包含 rainbond-exporter。"),
				draws: figure{`avg(up{job=~".*rainbond-exporter.*"})`},
			},
			{
				id: 7, title: say("Regions, the worst first", "集群，最差的在最上"), width: 24, height: 12, unit: "string", section: "start",
				about: say("One row per region, one column per symptom. A cell says why in a word, and leads to the dashboard that says more; an empty one means that nobody looked.",
					"每个集群一行，每种症状一列。单元格用一个词说明原因，点击可进入详细的仪表盘；空白表示没有采集。"),
				draws: regions,
			},
			{
				id: 8, title: say("Regions that are not well, by symptom", "不正常的集群数，按症状"), width: 12, height: 9, unit: "short", section: "start",
				about: say("How many regions show each symptom. Many at once have one cause: the console's network, or a release.", "每种症状涉及多少个集群。许多集群同时出现，原因往往只有一个：控制台的网络，或一次发布。"),
				draws: graph{lines: over},
			},
			{
				id: 9, title: say("Alerts that fire", "正在触发的告警"), width: 12, height: 9, unit: "short", section: "start", none: say("none", "无"),
				about: say("All but the Watchdog, the pages first. Alertmanager tells of a symptom and its cause the cause only; here are both.", "除 RainbondWatchdog 外的全部告警，紧急的在前。Alertmanager 只通知根因，这里连症状一起列出。"),
				draws: table{by: say("Severity", "级别"), least: true, columns: []column{
					{title: say("Severity", "级别"), label: "severity", width: 90, names: []name{{"critical", say("critical", "紧急"), red}, {"warning", say("warning", "警告"), orange}}},
					{title: say("Alert", "告警"), label: "alertname", width: 270},
					{title: say("Region", "集群"), label: "rainbond_region"},
					{title: say("Node", "节点"), label: "node"},
					{title: say("Component", "组件"), label: "component"},
					{title: say("Number", "数量"), aside: true, expr: highest(listed, `sum by (severity, alertname, rainbond_region, node, component) (ALERTS{alertname=~"Rainbond.*", alertname!="RainbondWatchdog", alertstate="firing", rainbond_region=~"($region)?"})`)},
				}},
			},
			{id: 10, title: say("Who watches the watcher", "谁来看护 exporter"), draws: row{}},
			{
				id: 11, title: say("What cannot look", "无法采集的采集器"), width: 12, height: 8, unit: "short", alerts: []alert{cannotLook}, none: say("none: every collector looks", "无：所有采集器都正常"),
				about: say("Collectors that could not look, and consoles whose database has not told its regions for three minutes: those known then are still probed.",
					"无法采集的采集器，以及三分钟没有从控制台数据库读到集群列表的 exporter：当时已知的集群仍在探测。"),
				draws: table{columns: []column{
					{title: "exporter", label: "instance"},
					{title: say("Collector", "采集器"), label: "collector"},
					{title: say("Series", "数量"), expr: highest(listed, `count by (instance, collector) (rainbond_collector_success == 0) or count by (instance, collector) (label_replace(time() - rainbond_regions_last_read_timestamp_seconds > 180, "collector", "region_info", "", ""))`)},
				}},
			},
			{
				id: 12, title: say("How long a look takes", "每次采集耗时"), width: 12, height: 8, unit: "s", alerts: []alert{cannotLook},
				about: say("The slowest exporter's, for each collector. It should stay well below the scrape timeout.", "各采集器中最慢的 exporter。应远低于抓取超时。"),
				draws: graph{lines: []line{{by("max", "collector", "rainbond_collector_duration_seconds"), "{{collector}}"}}},
			},
		},
	}
}
