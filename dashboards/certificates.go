package dashboards

// digits is the number of digits of a fingerprint in a table.
const digits = "8"

func certificates(tr translation) dashboard {
	region := column{title: tr("Region", "集群"), label: "rainbond_region"}
	kind := column{title: tr("Certificate", "证书"), label: "kind", width: 100}
	differ := by("sum", "cluster, rainbond_region, kind", by("max", "cluster, rainbond_region, kind, place, reference", of("rainbond_certificate_mismatch")))
	matrix := table{by: tr("Differ", "不一致"), columns: []column{region, kind}}
	for _, place := range []struct{ name, label, title string }{
		{"console", "console", tr("console", "控制台 console")},
		{"region-config", "region_config", "region-config"},
		{"client-secret", "client_secret", "client-secret"},
		{"server-secret", "server_secret", "server-secret"},
		{"served", "served", tr("served", "rbd-api 出示 served")},
	} {
		matrix.columns = append(matrix.columns, column{
			title: place.title, label: place.label,
			expr: by("max", "cluster, rainbond_region, kind, "+place.label,
				"label_replace("+of("rainbond_certificate_info", `place="`+place.name+`"`)+`, "`+place.label+`", "$1", "sha256", "(.{`+digits+`}).*")`),
		})
	}
	matrix.columns = append(matrix.columns, column{title: matrix.by, expr: differ, width: 90, steps: []step{{nil, green}, {1, red}}})
	matrix.columns = append(matrix.columns, column{
		title: tr("Rotation pending", "有待执行的轮换"), width: 120, steps: []step{{nil, green}, {1, orange}},
		expr: by("max", "cluster, rainbond_region, kind", `label_replace(`+of("rainbond_certificate_rotation_pending")+`, "kind", "server", "", "")`),
	})
	return dashboard{
		uid: "rainbond-certificates", title: tr("Rainbond / Certificates", "Rainbond / 证书"),
		description: tr("Do the certificates in the five places match?", "五处的证书是不是同一代？"),
		panels: []panel{
			{
				id: 1, title: tr("Broken now", "现在已断"), width: 6, height: 4, unit: "short", alerts: []alert{mismatch}, steps: []step{{nil, green}, {1, red}},
				description:   tr("Regions whose console has other certificates than rbd-api serves. A stale CA alone is not counted while the probe succeeds.", "控制台的证书与 rbd-api 出示的不是一代的集群数。只有 CA 过时而探测正常的不计入。"),
				visualization: stat{count(by("max", "cluster, rainbond_region", brokenNow()))},
			},
			{
				id: 2, title: tr("Broken after the next restart", "下次重启会断"), width: 6, height: 4, unit: "short", alerts: []alert{drift}, steps: []step{{nil, green}, {1, orange}},
				description:   tr("Regions in which two of the places differ: the certificates were rotated, but not yet loaded or copied.", "任意两处不一致的集群数：已轮换，但还没有加载或复制。"),
				visualization: stat{count(by("max", "cluster, rainbond_region", of("rainbond_certificate_mismatch")) + " == 1")},
			},
			{
				id: 3, title: tr("Unreadable", "无法读取"), width: 6, height: 4, unit: "short", alerts: []alert{unreadable}, steps: []step{{nil, green}, {1, red}},
				description:   tr("Regions with a missing or damaged certificate, or with a key that does not match.", "有证书缺失、损坏或私钥不配对的集群数。"),
				visualization: stat{count(by("max", "cluster, rainbond_region", of("rainbond_certificate_unreadable")+" == 1 or "+of("rainbond_certificate_key_mismatch")+" == 1"))},
			},
			{
				id: 4, title: tr("Time to the first expiry", "最早到期还剩"), width: 6, height: 4, unit: "s", alerts: []alert{expiring}, steps: []step{{nil, red}, {14 * 86400, orange}, {28 * 86400, green}},
				description:   tr("Rainbond's own certificates are valid for 99 years. A shorter validity means that an administrator replaced them.", "Rainbond 自己的证书有效期 99 年；短的是有人换上去的。"),
				visualization: stat{"min(" + of("rainbond_certificate_not_after_timestamp_seconds") + ") - time()"},
			},
			{
				id: 5, title: tr("Five places", "五处证书"), width: 24, height: 11, unit: "short", alerts: []alert{mismatch, drift, rotationPending},
				description: tr("The first eight digits of each certificate's SHA-256. All digits in a row of kind ca or client must be equal; rbd-api serves the server certificate. Rows with a mismatch come first.",
					"各处证书 SHA-256 的前 8 位。ca、client 每行应当全部相同；rbd-api 出示的是服务端证书。不一致的行在最上。"),
				visualization: matrix,
			},
			{
				id: 6, title: tr("Mismatches", "谁与谁不一致"), width: 12, height: 9, unit: "string", alerts: []alert{mismatch, drift}, empty: tr("empty: the certificates in all five places match", "无：五处证书同属一代"),
				description: tr("The certificate in the first place does not match the one in the second. Console and served: broken now, unless only the CA differs and the console does not verify (since v6.6). Others: broken after the next restart of rbd-api.",
					"前一处的证书与后一处不是一代。console 与 served 之间：现在已断，除非只有 CA 不一致且控制台不校验（v6.6 起）；其他：rbd-api 下次重启时断。"),
				visualization: table{by: tr("Breaks", "何时断"), least: true, columns: []column{
					region, kind,
					{title: tr("Place", "位置"), label: "place"}, {title: tr("does not match", "不一致于"), label: "reference"},
					{title: tr("Breaks", "何时断"), label: "breaks", names: []name{{"now", tr("broken now", "现在已断"), red}, {"verifying", tr("console up to v6.5", "v6.5 及更早的控制台"), orange}, {"restart", tr("after the next restart", "下次重启"), orange}},
						expr: highest(listed, by("max", "cluster, rainbond_region, kind, place, reference, breaks",
							`label_replace(`+brokenNow()+`, "breaks", "now", "", "") or on (cluster, rainbond_region, kind, place, reference) label_replace(`+staleCA()+`, "breaks", "verifying", "", "") or on (cluster, rainbond_region, kind, place, reference) label_replace(`+of("rainbond_certificate_mismatch")+` == 1, "breaks", "restart", "", "")`))},
				}},
			},
			{
				id: 7, title: tr("Unreadable certificates", "无法读取的原因"), width: 12, height: 9, unit: "string", alerts: []alert{unreadable}, empty: tr("empty: all certificates are readable", "无：全部可读"),
				description: tr("Certificates that cannot be used, with the reason, and keys that do not match their certificate.", "无法使用的证书及原因，以及与证书不配对的私钥。"),
				visualization: table{columns: []column{
					region, kind, {title: tr("Place", "位置"), label: "place"},
					{title: tr("Reason", "原因"), label: "reason", names: []name{{"key does not match", tr("key does not match", "私钥不配对"), red}, {"/.+/", "", red}},
						expr: highest(listed, by("max", "cluster, rainbond_region, kind, place, reason", of("rainbond_certificate_unreadable")+` == 1 or label_replace(`+of("rainbond_certificate_key_mismatch")+` == 1, "reason", "key does not match", "", "")`))},
				}},
			},
			{
				id: 8, title: tr("Time to expiry", "距到期"), width: 12, height: 9, unit: "s", alerts: []alert{expiring},
				description: tr("The certificates that expire first.", "最早到期的证书。"),
				visualization: table{by: tr("Remaining", "剩余"), least: true, columns: []column{
					region, kind, {title: tr("Place", "位置"), label: "place"},
					{title: tr("Remaining", "剩余"), unit: "s", steps: []step{{nil, red}, {14 * 86400, orange}, {28 * 86400, green}},
						expr: lowest(listed, by("min", "cluster, rainbond_region, place, kind", of("rainbond_certificate_not_after_timestamp_seconds"))+" - time()")},
				}},
			},
			{
				id: 9, title: tr("Mismatches over time", "不一致的数量"), width: 12, height: 9, unit: "short", alerts: []alert{mismatch, drift},
				description: tr("Number of certificates that do not match their reference, by the two places, in the selected regions. The graph shows when a rotation happened and which place does not have the new certificates yet.",
					"所选集群中与参照不一致的证书数，按两处位置：什么时候轮换的，还有哪里没有跟上。"),
				visualization: graph{lines: []line{{by("sum", "place, reference", by("max", "cluster, rainbond_region, kind, place, reference", of("rainbond_certificate_mismatch"))), "{{place}} ≠ {{reference}}"}}},
			},
		},
	}
}
