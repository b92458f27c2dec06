package dashboards

func path(say words) dashboard {
	failures := of("rainbond_api_probe_failures_total")
	probes := of("rainbond_api_probes_total")
	duration := func(quantile string) string {
		return "histogram_quantile(" + quantile + ", " + by("sum", "le", rate(of("rainbond_api_probe_duration_seconds_bucket"))) + ")"
	}
	down := []alert{unreachable, portClosed, apiDown, tlsFailing}
	region := column{title: say("Region", "集群"), label: "rainbond_region"}
	return dashboard{
		uid: "rainbond-path", title: say("Rainbond / The path", "Rainbond / 访问链路"),
		about: say("Can the console reach the region's API, how fast, and who fails at its door?", "控制台能否访问集群端 API？多快？谁在门口握手失败？"),
		panels: []panel{
			{
				id: 1, title: say("API up", "API 可用"), width: 6, height: 4, unit: "percentunit", alerts: down, steps: []step{{nil, red}, {1, green}},
				about: say("The part of the chosen regions whose last request to /v2/show, made as the console makes it, succeeded.", "所选集群中，最近一次像控制台那样请求 /v2/show 成功的比例。"),
				draws: figure{"avg(" + by("min", "rainbond_region", of("rainbond_api_up")) + ")"},
			},
			{
				id: 2, title: say("Probes that failed", "探测失败率"), width: 6, height: 4, unit: "percentunit", alerts: []alert{apiUnstable}, steps: []step{{nil, green}, {0.005, orange}, {0.1, red}},
				about: say("Of the last minutes, over all chosen regions. The objective behind RainbondRegionAPIUnstable is 99.5 %.", "最近几分钟，所选集群合计。RainbondRegionAPIUnstable 的目标是 99.5%。"),
				draws: figure{"sum(" + rate(failures) + ") / sum(" + rate(probes) + ")"},
			},
			{
				id: 3, title: say("Whole probes, 99th percentile", "整次探测，第 99 百分位"), width: 6, height: 4, unit: "s", alerts: []alert{apiSlow}, steps: []step{{nil, green}, {1, orange}},
				about: say("The console allows 1 s and then calls the region abnormal.", "控制台只等 1 秒，超过就显示集群异常。"),
				draws: figure{duration("0.99")},
			},
			{
				id: 4, title: say("Handshake errors", "握手错误"), width: 6, height: 4, unit: "eps", alerts: []alert{handshakes}, steps: []step{{nil, green}, {0.001, orange}},
				about: say("In the log of rbd-api, without port scans and load balancers.", "rbd-api 日志里的，不含端口扫描和负载均衡探测。"),
				draws: figure{total(rate(of("rainbond_api_tls_handshake_errors_total", `class!="benign"`)))},
			},
			{
				id: 5, title: say("Failing now", "正在失败"), width: 12, height: 8, unit: "string", alerts: append(down, apiUnstable), none: say("none: every probe succeeds", "无：探测全部成功"),
				about: say("The phase and the reason of the last probe, where it failed.", "最近一次探测失败在哪个阶段、什么原因。"),
				draws: table{columns: []column{
					region, {title: say("Phase", "阶段"), label: "phase"}, {title: say("Reason", "原因"), label: "reason", names: []name{{"/.+/", "", red}}},
					{title: say("Failed", "失败"), aside: true, expr: highest(listed, by("max", "rainbond_region, phase, reason", of("rainbond_api_probe_failed")+" == 1"))},
				}},
			},
			{
				id: 6, title: say("In between, or behind?", "问题在路上，还是在 rbd-api？"), width: 12, height: 8, unit: "string", alerts: []alert{unreachable, portClosed, apiDown}, none: say("not asked: the console's way works", "未询问：控制台的路是通的"),
				about: say("Asked while the console's way fails. Past the gateway: whether rbd-api answers at its own Service. Address: whether it still is a node's. Check: what /v2/cluster/ready says no to.",
					"控制台的路不通时才询问。绕过网关：rbd-api 在自己的 Service 上是否应答；地址：是否仍属于某个节点；检查：/v2/cluster/ready 的哪一项不通过。"),
				draws: table{columns: []column{
					region,
					{title: say("Past the gateway", "绕过网关"), label: "past", expr: by("max", "rainbond_region, past", `label_replace(`+of("rainbond_api_direct_up")+` == 1, "past", "answers", "", "") or label_replace(`+of("rainbond_api_direct_up")+` == 0, "past", "silent", "", "")`),
						names: []name{{"answers", say("answers: the way is at fault", "有应答：问题在路上"), orange}, {"silent", say("does not answer", "没有应答"), red}}},
					{title: say("Address", "地址"), label: "address", expr: by("max", "rainbond_region, address", `label_replace(`+of("rainbond_api_address_without_node")+` == 1, "address", "moved", "", "") or label_replace(`+of("rainbond_api_address_without_node")+` == 0, "address", "node", "", "")`),
						names: []name{{"moved", say("no node's any more", "已不属于任何节点"), red}, {"node", say("a node's", "属于节点"), green}}},
					{title: say("Check", "检查"), label: "check", expr: by("max", "rainbond_region, check", of("rainbond_api_ready")+" == 0"), names: []name{{"/.+/", "", red}}},
				}},
			},
			{
				id: 7, title: say("Latency by phase", "各阶段耗时"), width: 12, height: 9, unit: "s", alerts: []alert{apiSlow}, steps: []step{{nil, quiet}, {1, red}},
				about: say("How long each phase of the last probe took, in the slowest of the chosen regions. The dashed line is the second that the console allows for all of them. A phase that did not end well is absent.",
					"最近一次探测各阶段的耗时，取所选集群中最慢的。虚线是控制台给全部阶段的 1 秒。没有走完的阶段不显示。"),
				draws: graph{lines: []line{{by("max", "phase", of("rainbond_api_probe_phase_seconds")), "{{phase}}"}}},
			},
			{
				id: 8, title: say("Whole probes", "整次探测"), width: 6, height: 9, unit: "s", alerts: []alert{apiSlow},
				about: say("The median and the 99th percentile of the chosen regions, failed probes included.", "所选集群的中位数和第 99 百分位，含失败的。"),
				draws: graph{lines: []line{{duration("0.5"), "p50"}, {duration("0.99"), "p99"}}},
			},
			{
				id: 9, title: say("The slowest regions", "最慢的集群"), width: 6, height: 9, unit: "s", alerts: []alert{apiSlow},
				about: say("All phases of the last probe together, of the ten slowest.", "最近一次探测各阶段合计，最慢的十个。"),
				draws: graph{lines: []line{{highest(most, by("max", "rainbond_region", "sum without (phase) ("+of("rainbond_api_probe_phase_seconds")+")")), "{{rainbond_region}}"}}},
			},
			{
				id: 10, title: say("Reasons over time", "失败原因"), width: 12, height: 9, unit: "percentunit", alerts: append(down, apiUnstable), none: say("none: every probe succeeded", "无：探测全部成功"),
				about: say("The part of all probes of the chosen regions that failed, by phase and reason.", "所选集群的探测中失败的比例，按阶段和原因。"),
				draws: graph{stacked: true, lines: []line{{"" + by("sum", "phase, reason", rate(failures)) + " / scalar(sum(" + rate(probes) + ")) > 0", "{{phase}} {{reason}}"}}},
			},
			{
				id: 11, title: say("The regions that fail most", "失败最多的集群"), width: 12, height: 9, unit: "percentunit", alerts: []alert{apiUnstable},
				about: say("The part of each region's probes that failed, of the ten worst.", "各集群探测失败的比例，最差的十个。"),
				draws: graph{lines: []line{{highest(most, by("sum", "rainbond_region", rate(failures))+" / "+by("sum", "rainbond_region", rate(probes))), "{{rainbond_region}}"}}},
			},
			{id: 12, title: say("Who fails at the door of rbd-api?", "谁在 rbd-api 门口握手失败？"), draws: row{}},
			{
				id: 13, title: say("Handshake errors by class", "握手错误，按类别"), width: 8, height: 9, unit: "eps", alerts: []alert{handshakes},
				about: say("Lines in the log of rbd-api per second. trust: the client distrusts the server. client_certificate: the server refuses the client. protocol: old TLS. benign: port scans, load balancers.",
					"rbd-api 日志每秒的握手错误行数。trust：客户端不信任服务端；client_certificate：服务端不接受客户端证书；protocol：TLS 版本太旧；benign：端口扫描、负载均衡探测。"),
				draws: graph{lines: []line{{by("sum", "class", rate(of("rainbond_api_tls_handshake_errors_total"))), "{{class}}"}}},
			},
			{
				id: 14, title: say("Handshake errors by reason", "握手错误，按原因"), width: 8, height: 9, unit: "eps", alerts: []alert{handshakes}, none: say("none", "无"),
				about: say("The same by reason, without the benign ones.", "同上，按原因，不含无害的。"),
				draws: graph{lines: []line{{by("sum", "class, reason", rate(of("rainbond_api_tls_handshake_errors_total", `class!="benign"`))) + " > 0", "{{class}} {{reason}}"}}},
			},
			{
				id: 15, title: say("Last handshake error", "最近的握手错误"), width: 8, height: 9, unit: "string", alerts: []alert{handshakes}, none: say("none was seen", "没有出现过"),
				about: say("When a region's log last held an error of the class, the newest first. The alert forgets after five minutes.", "各集群日志里最近一次出现该类错误的时间，最新的在前。告警五分钟后不再计。"),
				draws: table{by: say("Last", "最近一次"), columns: []column{
					region, {title: say("Class", "类别"), label: "class"},
					{title: say("Last", "最近一次"), unit: "dateTimeFromNow", expr: highest(listed, "1000 * "+by("max", "rainbond_region, class", of("rainbond_api_tls_handshake_error_last_timestamp_seconds")))},
				}},
			},
		},
	}
}
