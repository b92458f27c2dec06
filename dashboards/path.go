package dashboards

func path(tr translation) dashboard {
	failures := of("rainbond_api_probe_failures_total")
	probes := of("rainbond_api_probes_total")
	errors := func(matchers ...string) string { // two exporters read the same log
		return by("max", "cluster, rainbond_region, class, reason", rate(of("rainbond_api_tls_handshake_errors_total", matchers...)))
	}
	duration := func(quantile string) string {
		return "histogram_quantile(" + quantile + ", " + by("sum", "le", rate(of("rainbond_api_probe_duration_seconds_bucket"))) + ")"
	}
	down := []alert{unreachable, portClosed, apiDown, tlsFailing}
	region := column{title: tr("Region", "集群"), label: "rainbond_region"}
	return dashboard{
		uid: "rainbond-path", title: tr("Rainbond / Connection path", "Rainbond / 访问链路"),
		description: tr("Can the console reach the region's API, how fast, and which TLS handshakes fail?", "控制台能否访问集群端 API？多快？有哪些 TLS 握手失败？"),
		panels: []panel{
			{
				id: 1, title: tr("API up", "API 可用"), width: 6, height: 4, unit: "percentunit", alerts: down, steps: []step{{nil, red}, {1, green}},
				description:   tr("The ratio of the selected regions whose last request to /v2/show, sent as the console sends it, succeeded.", "所选集群中，最近一次像控制台那样请求 /v2/show 成功的比例。"),
				visualization: stat{"avg(" + by("min", "cluster, rainbond_region", of("rainbond_api_up")) + ")"},
			},
			{
				id: 2, title: tr("Failed probes", "探测失败率"), width: 6, height: 4, unit: "percentunit", alerts: []alert{apiUnstable}, steps: []step{{nil, green}, {0.005, orange}, {0.1, red}},
				description:   tr("In the last minutes, over all selected regions. The objective of RainbondRegionAPIUnstable is 99.5%.", "最近几分钟，所选集群合计。RainbondRegionAPIUnstable 的目标是 99.5%。"),
				visualization: stat{"sum(" + rate(failures) + ") / sum(" + rate(probes) + ")"},
			},
			{
				id: 3, title: tr("Probe duration, 99th percentile", "整次探测，第 99 百分位"), width: 6, height: 4, unit: "s", alerts: []alert{apiSlow}, steps: []step{{nil, green}, {1, orange}},
				description:   tr("The console waits 1 s and then reports Abnormal communication.", "控制台只等 1 秒，超过就显示通信异常。"),
				visualization: stat{duration("0.99")},
			},
			{
				id: 4, title: tr("Handshake errors", "握手错误"), width: 6, height: 4, unit: "eps", alerts: []alert{handshakes}, steps: []step{{nil, green}, {0.001, orange}},
				description:   tr("In the log of rbd-api, without port scans and load balancer health checks.", "rbd-api 日志里的，不含端口扫描和负载均衡探测。"),
				visualization: stat{total(errors(`class!="benign"`))},
			},
			{
				id: 5, title: tr("Failing probes", "正在失败"), width: 12, height: 8, unit: "string", alerts: append(down, apiUnstable), empty: tr("empty: all probes succeed", "无：探测全部成功"),
				description: tr("Phase and reason of the last probe of each region, if it failed.", "最近一次探测失败在哪个阶段、什么原因。"),
				visualization: table{columns: []column{
					region, {title: tr("Phase", "阶段"), label: "phase"}, {title: tr("Reason", "原因"), label: "reason", names: []name{{"/.+/", "", red}}},
					{title: tr("Failed", "失败"), hidden: true, expr: highest(listed, by("max", "cluster, rainbond_region, phase, reason", of("rainbond_api_probe_failed")+" == 1"))},
				}},
			},
			{
				id: 6, title: tr("Network or rbd-api?", "网络问题，还是 rbd-api 问题？"), width: 12, height: 8, unit: "string", alerts: []alert{unreachable, portClosed, apiDown}, empty: tr("not checked: the console's connection works", "未检查：控制台的连接正常"),
				description: tr("Checked while the console's connection fails. Direct: whether rbd-api responds at its Service. Address: whether a node has it. Check: which check of /v2/cluster/ready fails.",
					"控制台的连接失败时才检查。绕过网关：rbd-api 在自己的 Service 上是否响应；地址：是否属于某个节点；检查：/v2/cluster/ready 的哪一项不通过。"),
				visualization: table{columns: []column{
					region,
					{title: tr("Direct", "绕过网关"), label: "direct", expr: by("max", "cluster, rainbond_region, direct", `label_replace(`+of("rainbond_api_direct_up")+` == 1, "direct", "responds", "", "") or label_replace(`+of("rainbond_api_direct_up")+` == 0, "direct", "no response", "", "")`),
						names: []name{{"responds", tr("responds: a network fault", "有响应：网络问题"), orange}, {"no response", tr("does not respond", "没有响应"), red}}},
					{title: tr("Address", "地址"), label: "address", expr: by("max", "cluster, rainbond_region, address", `label_replace(`+of("rainbond_api_address_without_node")+` == 1, "address", "no node", "", "") or label_replace(`+of("rainbond_api_address_without_node")+` == 0, "address", "node", "", "")`),
						names: []name{{"no node", tr("no node has it", "不属于任何节点"), orange}, {"node", tr("a node has it", "属于节点"), green}}},
					{title: tr("Check", "检查"), label: "check", expr: by("max", "cluster, rainbond_region, check", of("rainbond_api_ready")+" == 0"), names: []name{{"/.+/", "", red}}},
				}},
			},
			{
				id: 7, title: tr("Latency by phase", "各阶段耗时"), width: 12, height: 9, unit: "s", alerts: []alert{apiSlow}, steps: []step{{nil, quiet}, {1, red}},
				description: tr("Duration of each phase of the last probe, in the slowest of the selected regions. The dashed line is the console's limit of 1 s for all phases together. Phases that failed are absent.",
					"最近一次探测各阶段的耗时，取所选集群中最慢的。虚线是控制台给全部阶段的 1 秒。没有走完的阶段不显示。"),
				visualization: graph{lines: []line{{by("max", "phase", of("rainbond_api_probe_phase_seconds")), "{{phase}}"}}},
			},
			{
				id: 8, title: tr("Probe duration", "整次探测"), width: 6, height: 9, unit: "s", alerts: []alert{apiSlow},
				description:   tr("Median and 99th percentile of the selected regions, including failed probes.", "所选集群的中位数和第 99 百分位，含失败的。"),
				visualization: graph{lines: []line{{duration("0.5"), "p50"}, {duration("0.99"), "p99"}}},
			},
			{
				id: 9, title: tr("Slowest regions", "最慢的集群"), width: 6, height: 9, unit: "s", alerts: []alert{apiSlow},
				description:   tr("All phases of the last probe together, the ten slowest regions.", "最近一次探测各阶段合计，最慢的十个。"),
				visualization: graph{lines: []line{{highest(most, by("max", "cluster, rainbond_region", "sum without (phase) ("+of("rainbond_api_probe_phase_seconds")+")")), "{{cluster}} {{rainbond_region}}"}}},
			},
			{
				id: 10, title: tr("Failure reasons over time", "失败原因"), width: 12, height: 9, unit: "percentunit", alerts: append(down, apiUnstable), empty: tr("empty: all probes succeeded", "无：探测全部成功"),
				description:   tr("The ratio of failed probes to all probes of the selected regions, by phase and reason.", "所选集群的探测中失败的比例，按阶段和原因。"),
				visualization: graph{stacked: true, lines: []line{{by("sum", "phase, reason", rate(failures)) + " / scalar(sum(" + rate(probes) + ")) > 0", "{{phase}} {{reason}}"}}},
			},
			{
				id: 11, title: tr("Regions with the most failures", "失败最多的集群"), width: 12, height: 9, unit: "percentunit", alerts: []alert{apiUnstable},
				description:   tr("The ratio of failed probes to all probes of each region, the ten highest.", "各集群探测失败的比例，最差的十个。"),
				visualization: graph{lines: []line{{highest(most, by("sum", "cluster, rainbond_region", rate(failures))+" / "+by("sum", "cluster, rainbond_region", rate(probes))), "{{cluster}} {{rainbond_region}}"}}},
			},
			{
				id: 16, title: tr("Probed address", "探测的地址"), width: 24, height: 8, unit: "string", section: "api-unreachable",
				description: tr("The address that the console uses, and its origin: the console's own copy; the Service rbd-api-api, because the console runs in the platform's namespace; or apiAddress of the ConfigMap region-config.",
					"控制台使用的地址及其来源：控制台自己的配置；控制台在平台的命名空间内，因此是 Service rbd-api-api；或 ConfigMap region-config 里的 apiAddress。"),
				visualization: table{columns: []column{
					region,
					{title: tr("Origin", "来源"), label: "route", names: []name{
						{"console", tr("the console's own copy", "控制台的配置"), ""}, {"service", tr("Service (console in the namespace)", "Service（控制台在命名空间内）"), ""}, {"api_address", "apiAddress", ""},
					}},
					{title: tr("Address", "地址"), label: "url", expr: highest(listed, by("max", "cluster, rainbond_region, route, url", of("rainbond_api_route_info")))},
				}},
			},
			{
				id: 17, title: tr("Clock skew", "时钟偏差"), width: 24, height: 7, unit: "s", alerts: []alert{clockSkew}, steps: []step{{nil, quiet}, {60, orange}},
				description: tr("The region's clock minus the clock of the exporter, the ten regions with the largest difference. Certificates appear expired or not yet valid on a host whose clock is wrong.",
					"集群端时钟减去 exporter 时钟，偏差最大的十个集群。时钟不对的主机会认为证书已过期或尚未生效。"),
				visualization: graph{lines: []line{{highest(most, by("max", "cluster, rainbond_region", "abs("+of("rainbond_api_clock_skew_seconds")+")")), "{{cluster}} {{rainbond_region}}"}}},
			},
			{
				id: 18, title: tr("Consecutive failures", "连续失败次数"), width: 24, height: 8, unit: "short", alerts: append(down, apiUnstable), steps: []step{{nil, quiet}, {2, red}},
				description:   tr("Failed probes in a row, the ten highest. Zero after a successful probe.", "连续失败的探测次数，最多的十个集群。探测成功后归零。"),
				visualization: graph{lines: []line{{highest(most, by("max", "cluster, rainbond_region", of("rainbond_api_consecutive_failures"))), "{{cluster}} {{rainbond_region}}"}}},
			},
			{id: 12, title: tr("Which TLS handshakes fail at rbd-api?", "哪些 TLS 握手在 rbd-api 失败？"), visualization: heading{}},
			{
				id: 13, title: tr("Handshake errors by class", "握手错误，按类别"), width: 8, height: 9, unit: "eps", alerts: []alert{handshakes},
				description: tr("Log lines of rbd-api per second. trust: the client does not trust the server. client_certificate: the server rejects the client certificate. protocol: incompatible TLS versions. unknown: other messages. benign: port scans, load balancer health checks.",
					"rbd-api 日志每秒的握手错误行数。trust：客户端不信任服务端；client_certificate：服务端不接受客户端证书；protocol：TLS 版本太旧；unknown：其他报错；benign：端口扫描、负载均衡探测。"),
				visualization: graph{lines: []line{
					{by("sum", "class", errors()), "{{class}}"},
					{"sum(" + by("max", "cluster, rainbond_region", rate(of("rainbond_api_log_gaps_total"))) + ") > 0", tr("lost log lines", "丢失的日志")},
				}},
			},
			{
				id: 14, title: tr("Handshake errors by reason", "握手错误，按原因"), width: 8, height: 9, unit: "eps", alerts: []alert{handshakes}, empty: tr("none", "无"),
				description:   tr("The same by reason, without class benign.", "同上，按原因，不含无害的。"),
				visualization: graph{lines: []line{{by("sum", "class, reason", errors(`class!="benign"`)) + " > 0", "{{class}} {{reason}}"}}},
			},
			{
				id: 15, title: tr("Last handshake error", "最近的握手错误"), width: 8, height: 9, unit: "string", alerts: []alert{handshakes}, empty: tr("none", "没有出现过"),
				description: tr("Time of the last error of each class in the region's log, the newest first. The alert considers the last five minutes.", "各集群日志里最近一次出现该类错误的时间，最新的在前。告警五分钟后不再计。"),
				visualization: table{by: tr("Last", "最近一次"), columns: []column{
					region, {title: tr("Class", "类别"), label: "class"},
					{title: tr("Last", "最近一次"), unit: "dateTimeFromNow", expr: highest(listed, "1000 * "+by("max", "cluster, rainbond_region, class", of("rainbond_api_tls_handshake_error_last_timestamp_seconds")))},
				}},
			},
			{
				id: 19, title: tr("Lost log lines", "丢失的日志"), width: 24, height: 7, unit: "short", alerts: []alert{handshakes}, empty: tr("none", "无"),
				description:   tr("Times at which log lines of rbd-api were lost between two collections. Handshake errors in these lines are not counted.", "两次采集之间 rbd-api 日志丢失的次数。其中的握手错误没有计入。"),
				visualization: graph{lines: []line{{highest(most, by("max", "cluster, rainbond_region", "increase("+of("rainbond_api_log_gaps_total")+"[$__rate_interval])")+" > 0"), "{{cluster}} {{rainbond_region}}"}}},
			},
		},
	}
}
