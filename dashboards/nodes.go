package dashboards

func nodes(tr translation) dashboard {
	region := column{title: tr("Region", "集群"), label: "rainbond_region"}
	node := column{title: tr("Node", "节点"), label: "node"}
	mount := column{title: tr("File system", "文件系统"), label: "mountpoint"}
	nearest := " and " + lowest(listed, distance()) // the rows of the table
	inodes := disks("inodes_free") + " / (" + disks("inodes") + " > 0)"
	age := "time() - " + disks("last_success_timestamp_seconds")
	lines := func(expr string) graph {
		return graph{lines: []line{{expr, "{{cluster}} {{rainbond_region}} {{node}} {{mountpoint}}"}}}
	}
	// exist returns a table of series that exist only during a fault.
	exist := func(labels, expr string, columns ...column) table {
		return table{columns: append(columns, column{title: tr("Number", "数量"), hidden: true, expr: highest(listed, by("max", labels, expr))})}
	}
	return dashboard{
		uid: "rainbond-nodes", title: tr("Rainbond / Nodes and disks", "Rainbond / 节点与磁盘"),
		description: tr("How close is each disk to eviction, when will it be full, and does each node have a role?", "各磁盘离驱逐还有多远？还能用几天？每个节点都有角色吗？"),
		panels: []panel{
			{
				id: 1, title: tr("Closest to eviction", "离驱逐最近"), width: 6, height: 4, unit: "percentunit", alerts: []alert{evictionNear}, steps: []step{{nil, red}, {0.03, orange}, {0.15, green}},
				description:   tr("Space left on the fullest disk before its kubelet evicts pods. At zero or less, the kubelet evicts.", "最满的磁盘离 kubelet 驱逐 Pod 还剩多少；小于零即驱逐。"),
				visualization: stat{"min(" + distance() + ")"},
			},
			{
				id: 2, title: tr("First disk is full in", "最快写满的磁盘"), width: 6, height: 4, unit: "d", alerts: []alert{evictionNear}, steps: []step{{nil, red}, {2, orange}, {14, green}},
				description:   tr("At the rate of the last six hours. The maximum of 365 days means that the disk is not filling.", "按最近六小时的速度；最多显示 365 天，表示看不到尽头。"),
				visualization: stat{"min(" + daysToFull() + ")"},
			},
			{
				id: 3, title: tr("Unhealthy nodes", "有问题的节点"), width: 6, height: 4, unit: "short", alerts: []alert{diskPressure}, steps: []step{{nil, green}, {1, red}},
				description:   tr("Nodes with DiskPressure, and nodes that are not Ready.", "处于 DiskPressure 或未就绪的节点数。"),
				visualization: stat{count(by("max", "cluster, rainbond_region, node", of("rainbond_node_condition")))},
			},
			{
				id: 4, title: tr("Nodes without a role", "没有角色的节点"), width: 6, height: 4, unit: "short", alerts: []alert{roleMissing}, steps: []step{{nil, green}, {1, orange}},
				description:   tr("The table at the bottom lists those older than five minutes.", "加入超过五分钟的列在最下面。"),
				visualization: stat{"sum(" + by("max", "cluster, rainbond_region", of("rainbond_nodes", `role="none"`)) + ")"},
			},
			{
				id: 5, title: tr("Disks, the closest to eviction first", "磁盘，离驱逐最近的在最上"), width: 24, height: 11, unit: "short", alerts: []alert{diskFilling, evictionNear, inodesLow},
				description: tr("The root file system of every node, and its other data disks. Used is the value of df. To eviction is the space left before the kubelet evicts. Days to full is at the rate of the last six hours; 365 means that the disk is not filling.",
					"各节点的根分区，以及其他会写满的磁盘。使用率与 df 一致；距离是离 kubelet 驱逐还剩多少；天数按最近六小时的速度，365 表示看不到尽头。"),
				visualization: table{by: tr("To eviction", "距驱逐"), least: true, columns: []column{
					region, node, mount,
					{title: tr("To eviction", "距驱逐"), unit: "percentunit", steps: []step{{nil, red}, {0.03, orange}, {0.15, green}}, expr: lowest(listed, distance())},
					{title: tr("Days to full", "几天写满"), unit: "d", steps: []step{{nil, red}, {2, orange}, {14, green}}, expr: daysToFull() + nearest},
					{title: tr("Used", "已用"), unit: "percentunit", steps: []step{{nil, green}, {0.8, orange}}, expr: disks("used_ratio") + nearest},
					{title: tr("Available", "可用"), unit: "bytes", expr: disks("avail_bytes") + nearest},
					{title: tr("Size", "容量"), unit: "bytes", expr: disks("size_bytes") + nearest},
					{title: tr("Inodes free", "inode 剩余"), unit: "percentunit", steps: []step{{nil, red}, {0.1, green}}, expr: inodes + nearest},
				}},
			},
			{
				id: 6, title: tr("Distance to eviction", "距驱逐"), width: 12, height: 9, unit: "percentunit", alerts: []alert{evictionNear, diskPressure}, steps: []step{{nil, quiet}, {0.03, red}},
				description:   tr("The ten closest to eviction. Below the dashed line the alert fires; at zero the kubelet evicts.", "最近的十个。低于虚线告警；到零 kubelet 开始驱逐。"),
				visualization: lines(lowest(most, distance())),
			},
			{
				id: 7, title: tr("Used", "已用"), width: 12, height: 9, unit: "percentunit", alerts: []alert{diskFilling}, steps: []step{{nil, quiet}, {0.8, orange}},
				description:   tr("The ten fullest, as df reports. 80% is the threshold in Rainbond's documentation; the kubelet does not evict there.", "最满的十个，与 df 一致。80% 是官方文档的线，此时并不驱逐。"),
				visualization: lines(highest(most, disks("used_ratio"))),
			},
			{
				id: 8, title: tr("Inodes free", "inode 剩余"), width: 12, height: 8, unit: "percentunit", alerts: []alert{inodesLow}, steps: []step{{nil, quiet}, {0.1, red}},
				description:   tr("The ten with the fewest free inodes. A file system without a fixed number of inodes has no line.", "最少的十个。有的文件系统不限 inode，便没有线。"),
				visualization: lines(lowest(most, inodes)),
			},
			{
				id: 9, title: tr("Age of the values", "数据的时间"), width: 12, height: 8, unit: "s", alerts: []alert{mountStuck},
				description:   tr("Time since the last successful statfs of each file system, the ten oldest. A file system whose value grows is stuck.", "各文件系统的数据是多久以前取得的，最久的十个。持续变大的已卡住。"),
				visualization: lines(highest(most, age)),
			},
			{
				id: 10, title: tr("Conditions", "节点状况"), width: 8, height: 8, unit: "string", alerts: []alert{diskPressure, nodeDown}, empty: tr("empty: all nodes are healthy", "无：没有节点有问题"),
				description: tr("DiskPressure: the kubelet is evicting pods. Ready: the node is not Ready. Lines with a component: its pods are on a node that is down.", "DiskPressure：正在驱逐。Ready：节点未就绪。带组件名的行：它的 Pod 在不可用的节点上。"),
				visualization: exist("cluster, rainbond_region, node, condition, component", of("rainbond_node_condition")+" or "+of("rainbond_node_down_pods")+" or on (cluster, rainbond_region, node) "+of("rainbond_node_down_since_timestamp_seconds"), region, node,
					column{title: tr("Component on it", "其上的组件"), label: "component"},
					column{title: tr("Condition", "状况"), label: "condition", names: []name{{"DiskPressure", tr("evicting (DiskPressure)", "正在驱逐（DiskPressure）"), red}, {"Ready", tr("not ready", "未就绪"), red}}}),
			},
			{
				id: 11, title: tr("Read-only", "只读"), width: 8, height: 8, unit: "string", alerts: []alert{readOnly}, empty: tr("empty: all file systems are writable", "无：全部可写"),
				description:   tr("The root file system or another data disk is mounted read-only, usually after a disk error.", "根分区或其他磁盘被挂载为只读，多半是磁盘错误之后。"),
				visualization: exist(disk, disks("read_only")+" == 1", region, node, mount),
			},
			{
				id: 12, title: tr("Mounts that do not respond", "没有响应的挂载"), width: 8, height: 8, unit: "string", alerts: []alert{mountStuck}, empty: tr("empty: all mounts respond", "无：全部有响应"),
				description:   tr("Mounts on which df hangs: their server or process is gone.", "让 df 卡住的挂载点：背后的服务器或进程已不在。"),
				visualization: exist(disk, of("rainbond_node_mount_stuck"), region, node, mount),
			},
			{id: 13, title: tr("Does each node have a role?", "每个节点都有角色吗？"), visualization: heading{}},
			{
				id: 14, title: tr("Nodes by role", "各角色的节点数"), width: 8, height: 9, unit: "short", alerts: []alert{roleNoNode, roleMissing},
				description:   tr("In the selected regions. The role none counts nodes without a role.", "所选集群合计；none 是没有任何角色的节点。"),
				visualization: graph{lines: []line{{by("sum", "role", by("max", "cluster, rainbond_region, role", of("rainbond_nodes"))), "{{role}}"}}},
			},
			{
				id: 15, title: tr("Invalid role label: the node list fails", "角色标签无效：节点列表失败"), width: 8, height: 9, unit: "string", alerts: []alert{listBroken}, empty: tr("none", "无"),
				description:   tr("Nodes with a label key that starts with node-role.kubernetes.io and contains no slash. One such node breaks the node list of the whole region.", "标签键以 node-role.kubernetes.io 开头但没有斜杠的节点。只要有一个，整个集群的节点列表就失败。"),
				visualization: exist("cluster, rainbond_region, node, key", of("rainbond_node_role_malformed"), region, node, column{title: tr("Label key", "标签键"), label: "key"}),
			},
			{
				id: 16, title: tr("Missing role, or missing node", "没有角色，或没有这个节点"), width: 8, height: 9, unit: "string", alerts: []alert{roleMissing, placement}, empty: tr("none", "无"),
				description: tr("Nodes older than five minutes without a role label; and names in nodesForGateway and nodesForChaos, with their component, that no node has.",
					"加入超过五分钟仍没有角色标签的节点；带组件名的，是 nodesForGateway、nodesForChaos 里没有节点对应的名字。"),
				visualization: exist("cluster, rainbond_region, node, component", of("rainbond_node_role_missing")+" or "+of("rainbond_node_placement_unmatched"), region, node, column{title: tr("Component", "组件"), label: "component"}),
			},
			{
				id: 17, title: tr("Role labels required", "需要角色标签"), width: 24, height: 6, unit: "short", alerts: []alert{roleMissing, roleNoNode}, steps: []step{{nil, green}},
				description:   tr("Regions older than v5.13, in which a node without a role label breaks the node list. Since v5.13 role labels have no effect.", "早于 v5.13 的集群：节点没有角色标签时，获取节点列表失败。v5.13 起角色标签不起作用。"),
				visualization: stat{total(by("max", "cluster, rainbond_region", of("rainbond_node_role_required")))},
			},
		},
	}
}
