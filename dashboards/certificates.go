package dashboards

// digits is how much of a fingerprint is shown.
const digits = "8"

func certificates(say words) dashboard {
	region := column{title: say("Region", "集群"), label: "rainbond_region"}
	kind := column{title: say("Certificate", "证书"), label: "kind", width: 100}
	differ := by("sum", "rainbond_region, kind", by("max", "rainbond_region, kind, place, reference", of("rainbond_certificate_mismatch")))
	matrix := table{by: say("Differ", "不一致"), columns: []column{region, kind}}
	for _, place := range []struct{ name, label, title string }{
		{"console", "console", say("console", "控制台 console")},
		{"region-config", "region_config", "region-config"},
		{"client-secret", "client_secret", "client-secret"},
		{"server-secret", "server_secret", "server-secret"},
		{"served", "served", say("served", "rbd-api 出示 served")},
	} {
		matrix.columns = append(matrix.columns, column{
			title: place.title, label: place.label,
			expr: by("max", "rainbond_region, kind, "+place.label,
				"label_replace("+of("rainbond_certificate_info", `place="`+place.name+`"`)+`, "`+place.label+`", "$1", "sha256", "(.{`+digits+`}).*")`),
		})
	}
	matrix.columns = append(matrix.columns, column{title: matrix.by, expr: differ, width: 90, steps: []step{{nil, green}, {1, red}}})
	return dashboard{
		uid: "rainbond-certificates", title: say("Rainbond / Certificates", "Rainbond / 证书"),
		about: say("Do the certificates in the five places belong together?", "五处的证书是不是同一代？"),
		panels: []panel{
			{
				id: 1, title: say("Broken now", "现在已断"), width: 6, height: 4, unit: "short", alerts: []alert{mismatch}, steps: []step{{nil, green}, {1, red}},
				about: say("Regions whose console holds other certificates than rbd-api serves.", "控制台的证书与 rbd-api 出示的不是一代的集群数。"),
				draws: figure{count(by("max", "rainbond_region", of("rainbond_certificate_mismatch", `place=~"served|console"`, `reference=~"served|console"`)) + " == 1")},
			},
			{
				id: 2, title: say("Break at the next restart", "下次重启会断"), width: 6, height: 4, unit: "short", alerts: []alert{drift}, steps: []step{{nil, green}, {1, orange}},
				about: say("Regions in which any two of the places differ: rotated, but not yet loaded or copied.", "任意两处不一致的集群数：已轮换，但还没有加载或复制。"),
				draws: figure{count(by("max", "rainbond_region", of("rainbond_certificate_mismatch")) + " == 1")},
			},
			{
				id: 3, title: say("Unreadable", "无法读取"), width: 6, height: 4, unit: "short", alerts: []alert{unreadable}, steps: []step{{nil, green}, {1, red}},
				about: say("Regions with a certificate that is missing or damaged, or a key that does not fit.", "有证书缺失、损坏或私钥不配对的集群数。"),
				draws: figure{count(by("max", "rainbond_region", of("rainbond_certificate_unreadable")+" == 1 or "+of("rainbond_certificate_key_mismatch")+" == 1"))},
			},
			{
				id: 4, title: say("Left until the first expires", "最早到期还剩"), width: 6, height: 4, unit: "s", alerts: []alert{expiring}, steps: []step{{nil, red}, {14 * 86400, orange}, {28 * 86400, green}},
				about: say("Rainbond's own certificates live for 99 years; a short one was put there by somebody.", "Rainbond 自己的证书有效期 99 年；短的是有人换上去的。"),
				draws: figure{"min(" + of("rainbond_certificate_not_after_timestamp_seconds") + ") - time()"},
			},
			{
				id: 5, title: say("Five places", "五处证书"), width: 24, height: 11, unit: "short", alerts: []alert{mismatch, drift},
				about: say("The first eight digits of each certificate's SHA-256. In a row of kind ca or client all must be alike; what is served is the server's. Rows that disagree come first.",
					"各处证书 SHA-256 的前 8 位。ca、client 每行应当全部相同；rbd-api 出示的是服务端证书。不一致的行在最上。"),
				draws: matrix,
			},
			{
				id: 6, title: say("Who disagrees", "谁与谁不一致"), width: 12, height: 9, unit: "string", alerts: []alert{mismatch, drift}, none: say("none: all five places belong together", "无：五处证书同属一代"),
				about: say("The certificate in the first place does not belong to the one in the second. Console and served: broken now. Others: at the next restart of rbd-api.",
					"前一处的证书与后一处不是一代。console 与 served 之间：现在已断；其他：rbd-api 下次重启时断。"),
				draws: table{by: say("Breaks", "何时断"), least: true, columns: []column{
					region, kind,
					{title: say("Place", "位置"), label: "place"}, {title: say("does not belong to", "不一致于"), label: "reference"},
					{title: say("Breaks", "何时断"), label: "breaks", names: []name{{"now", say("broken now", "现在已断"), red}, {"restart", say("at the next restart", "下次重启"), orange}},
						expr: highest(listed, by("max", "rainbond_region, kind, place, reference, breaks",
							`label_replace(`+of("rainbond_certificate_mismatch", `place=~"served|console"`, `reference=~"served|console"`)+` == 1, "breaks", "now", "", "") or on (rainbond_region, kind, place, reference) label_replace(`+of("rainbond_certificate_mismatch")+` == 1, "breaks", "restart", "", "")`))},
				}},
			},
			{
				id: 7, title: say("Unreadable, and why", "无法读取的原因"), width: 12, height: 9, unit: "string", alerts: []alert{unreadable}, none: say("none: all can be read", "无：全部可读"),
				about: say("Certificates that cannot be used, with the reason, and keys that do not fit the certificate beside them.", "无法使用的证书及原因，以及与证书不配对的私钥。"),
				draws: table{columns: []column{
					region, kind, {title: say("Place", "位置"), label: "place"},
					{title: say("Reason", "原因"), label: "reason", names: []name{{"key does not fit", say("key does not fit", "私钥不配对"), red}, {"/.+/", "", red}},
						expr: highest(listed, by("max", "rainbond_region, kind, place, reason", of("rainbond_certificate_unreadable")+` == 1 or label_replace(`+of("rainbond_certificate_key_mismatch")+` == 1, "reason", "key does not fit", "", "")`))},
				}},
			},
			{
				id: 8, title: say("Left until expiry", "距到期"), width: 12, height: 9, unit: "s", alerts: []alert{expiring},
				about: say("The certificates that expire first.", "最早到期的证书。"),
				draws: table{by: say("Left", "剩余"), least: true, columns: []column{
					region, kind, {title: say("Place", "位置"), label: "place"},
					{title: say("Left", "剩余"), unit: "s", steps: []step{{nil, red}, {14 * 86400, orange}, {28 * 86400, green}},
						expr: lowest(listed, by("min", "rainbond_region, place, kind", of("rainbond_certificate_not_after_timestamp_seconds"))+" - time()")},
				}},
			},
			{
				id: 9, title: say("Disagreements over time", "不一致的数量"), width: 12, height: 9, unit: "short", alerts: []alert{mismatch, drift},
				about: say("How many certificates do not belong to their reference, by the two places, over the chosen regions: when the rotation was, and what it has not reached yet.",
					"所选集群中与参照不一致的证书数，按两处位置：什么时候轮换的，还有哪里没有跟上。"),
				draws: graph{lines: []line{{by("sum", "place, reference", by("max", "rainbond_region, kind, place, reference", of("rainbond_certificate_mismatch"))), "{{place}} ≠ {{reference}}"}}},
			},
		},
	}
}
