package dashboards

func nodes(say words) dashboard {
	region := column{title: say("Region", "集群"), label: "rainbond_region"}
	node := column{title: say("Node", "节点"), label: "node"}
	mount := column{title: say("File system", "文件系统"), label: "mountpoint"}
	nearest := " and " + lowest(listed, distance()) // the rows of the table
	inodes := disks("inodes_free") + " / (" + disks("inodes") + " > 0)"
	age := "time() - " + disks("last_success_timestamp_seconds")
	lines := func(expr string) graph {
		return graph{lines: []line{{expr, "{{rainbond_region}} {{node}} {{mountpoint}}"}}}
	}
	// exist lists what has a series only while something is wrong.
	exist := func(labels, expr string, columns ...column) table {
		return table{columns: append(columns, column{title: say("Number", "数量"), aside: true, expr: highest(listed, by("max", labels, expr))})}
	}
	return dashboard{
		uid: "rainbond-nodes", title: say("Rainbond / Nodes and disks", "Rainbond / 节点与磁盘"),
		about: say("How far is each disk from eviction, how many days will it last, and does each node have its role?", "各磁盘离驱逐还有多远？还能用几天？每个节点都有角色吗？"),
		panels: []panel{
			{
				id: 1, title: say("Nearest to eviction", "离驱逐最近"), width: 6, height: 4, unit: "percentunit", alerts: []alert{evictionNear}, steps: []step{{nil, red}, {0.03, orange}, {0.15, green}},
				about: say("What is left of the fullest disk before its kubelet evicts pods. Zero and less: it does.", "最满的磁盘离 kubelet 驱逐 Pod 还剩多少；小于零即驱逐。"),
				draws: figure{"min(" + distance() + ")"},
			},
			{
				id: 2, title: say("First disk is full in", "最快写满的磁盘"), width: 6, height: 4, unit: "d", alerts: []alert{evictionNear}, steps: []step{{nil, red}, {2, orange}, {14, green}},
				about: say("At the pace of the last six hours; 365 days at most, which stands for no end in sight.", "按最近六小时的速度；最多显示 365 天，表示看不到尽头。"),
				draws: figure{"min(" + daysToFull() + ")"},
			},
			{
				id: 3, title: say("Nodes in trouble", "有问题的节点"), width: 6, height: 4, unit: "short", alerts: []alert{diskPressure}, steps: []step{{nil, green}, {1, red}},
				about: say("Nodes under DiskPressure, and nodes that are not ready.", "处于 DiskPressure 或未就绪的节点数。"),
				draws: figure{count(by("max", "rainbond_region, node", of("rainbond_node_condition")))},
			},
			{
				id: 4, title: say("Nodes without a role", "没有角色的节点"), width: 6, height: 4, unit: "short", alerts: []alert{roleMissing}, steps: []step{{nil, green}, {1, orange}},
				about: say("Those older than five minutes are listed at the bottom.", "加入超过五分钟的列在最下面。"),
				draws: figure{"sum(" + by("max", "rainbond_region", of("rainbond_nodes", `role="none"`)) + ")"},
			},
			{
				id: 5, title: say("Disks, the nearest to eviction first", "磁盘，离驱逐最近的在最上"), width: 24, height: 11, unit: "short", alerts: []alert{diskFilling, evictionNear, inodesLow},
				about: say("Root of every node, and the disks beside it that fill. Used is df's count. Distance is what is left before the kubelet evicts; days at the pace of the last six hours, 365 standing for no end in sight.",
					"各节点的根分区，以及其他会写满的磁盘。使用率与 df 一致；距离是离 kubelet 驱逐还剩多少；天数按最近六小时的速度，365 表示看不到尽头。"),
				draws: table{by: say("To eviction", "距驱逐"), least: true, columns: []column{
					region, node, mount,
					{title: say("To eviction", "距驱逐"), unit: "percentunit", steps: []step{{nil, red}, {0.03, orange}, {0.15, green}}, expr: lowest(listed, distance())},
					{title: say("Days to full", "几天写满"), unit: "d", steps: []step{{nil, red}, {2, orange}, {14, green}}, expr: daysToFull() + nearest},
					{title: say("Used", "已用"), unit: "percentunit", steps: []step{{nil, green}, {0.8, orange}}, expr: disks("used_ratio") + nearest},
					{title: say("Available", "可用"), unit: "bytes", expr: disks("avail_bytes") + nearest},
					{title: say("Size", "容量"), unit: "bytes", expr: disks("size_bytes") + nearest},
					{title: say("Inodes free", "inode 剩余"), unit: "percentunit", steps: []step{{nil, red}, {0.1, green}}, expr: inodes + nearest},
				}},
			},
			{
				id: 6, title: say("Distance to eviction", "距驱逐"), width: 12, height: 9, unit: "percentunit", alerts: []alert{evictionNear, diskPressure}, steps: []step{{nil, quiet}, {0.03, red}},
				about: say("The ten nearest. Below the dashed line the alert rings; at zero the kubelet evicts.", "最近的十个。低于虚线告警；到零 kubelet 开始驱逐。"),
				draws: lines(lowest(most, distance())),
			},
			{
				id: 7, title: say("Used", "已用"), width: 12, height: 9, unit: "percentunit", alerts: []alert{diskFilling}, steps: []step{{nil, quiet}, {0.8, orange}},
				about: say("The ten fullest, as df counts. 80 % is the line of Rainbond's page; nothing is evicted there.", "最满的十个，与 df 一致。80% 是官方文档的线，此时并不驱逐。"),
				draws: lines(highest(most, disks("used_ratio"))),
			},
			{
				id: 8, title: say("Inodes free", "inode 剩余"), width: 12, height: 8, unit: "percentunit", alerts: []alert{inodesLow}, steps: []step{{nil, quiet}, {0.1, red}},
				about: say("The ten shortest. A file system may have no fixed number: then there is no line.", "最少的十个。有的文件系统不限 inode，便没有线。"),
				draws: lines(lowest(most, inodes)),
			},
			{
				id: 9, title: say("Age of the figures", "数据的时间"), width: 12, height: 8, unit: "s", alerts: []alert{mountStuck},
				about: say("How long ago the file systems said what these panels show, the ten oldest. One that grows is stuck.", "各文件系统的数据是多久以前取得的，最久的十个。持续变大的已卡住。"),
				draws: lines(highest(most, age)),
			},
			{
				id: 10, title: say("Conditions", "节点状况"), width: 8, height: 8, unit: "string", alerts: []alert{diskPressure}, none: say("none: no node is in trouble", "无：没有节点有问题"),
				about: say("DiskPressure: eviction under way. Ready: the node is not.", "DiskPressure：正在驱逐。Ready：节点未就绪。"),
				draws: exist("rainbond_region, node, condition", of("rainbond_node_condition"), region, node,
					column{title: say("Condition", "状况"), label: "condition", names: []name{{"DiskPressure", say("evicts (DiskPressure)", "正在驱逐（DiskPressure）"), red}, {"Ready", say("not ready", "未就绪"), red}}}),
			},
			{
				id: 11, title: say("Read-only", "只读"), width: 8, height: 8, unit: "string", alerts: []alert{readOnly}, none: say("none: all can be written to", "无：全部可写"),
				about: say("Root or a disk beside it is mounted read-only, mostly after a disk error.", "根分区或其他磁盘被挂载为只读，多半是磁盘错误之后。"),
				draws: exist(disk, disks("read_only")+" == 1", region, node, mount),
			},
			{
				id: 12, title: say("Mounts that do not answer", "没有响应的挂载"), width: 8, height: 8, unit: "string", alerts: []alert{mountStuck}, none: say("none: every mount answers", "无：全部有响应"),
				about: say("Mounts on which df hangs: the server or process behind them is gone.", "让 df 卡住的挂载点：背后的服务器或进程已不在。"),
				draws: exist(disk, of("rainbond_node_mount_stuck"), region, node, mount),
			},
			{id: 13, title: say("Does each node have its role?", "每个节点都有角色吗？"), draws: row{}},
			{
				id: 14, title: say("Nodes by role", "各角色的节点数"), width: 8, height: 9, unit: "short", alerts: []alert{roleNoNode, roleMissing},
				about: say("Over the chosen regions; none counts those without a role.", "所选集群合计；none 是没有任何角色的节点。"),
				draws: graph{lines: []line{{by("sum", "role", by("max", "rainbond_region, role", of("rainbond_nodes"))), "{{role}}"}}},
			},
			{
				id: 15, title: say("Bare key: the node list fails", "标签键缺少角色：节点列表失败"), width: 8, height: 9, unit: "string", alerts: []alert{listBroken}, none: say("none", "无"),
				about: say("Nodes that bear the bare label key node-role.kubernetes.io. One is enough to fail the list of the whole region.", "带有光秃秃的标签键 node-role.kubernetes.io 的节点。有一个，整个集群的节点列表就失败。"),
				draws: exist("rainbond_region, node", of("rainbond_node_role_malformed"), region, node),
			},
			{
				id: 16, title: say("No role, or no such node", "没有角色，或没有这个节点"), width: 8, height: 9, unit: "string", alerts: []alert{roleMissing, placement}, none: say("none", "无"),
				about: say("Nodes older than five minutes without any role label; and, with the component, names in nodesForGateway and nodesForChaos that no node bears.",
					"加入超过五分钟仍没有角色标签的节点；带组件名的，是 nodesForGateway、nodesForChaos 里没有节点对应的名字。"),
				draws: exist("rainbond_region, node, component", of("rainbond_node_role_missing")+" or "+of("rainbond_node_placement_unmatched"), region, node, column{title: say("Component", "组件"), label: "component"}),
			},
		},
	}
}
