package dashboards

// An alert is the name of an alert and its section of the guide.
type alert struct{ name, section string }

// The alerts of rules/rainbond.rules.yaml. A test checks names and sections.
var (
	unreachable      = alert{"RainbondRegionUnreachable", "api-unreachable"}
	portClosed       = alert{"RainbondRegionPortClosed", "api-port-closed"}
	apiDown          = alert{"RainbondRegionAPIDown", "api-down"}
	apiSlow          = alert{"RainbondRegionAPISlow", "api-slow"}
	apiUnstable      = alert{"RainbondRegionAPIUnstable", "api-unstable"}
	clockSkew        = alert{"RainbondRegionClockSkew", "api-clock-skew"}
	tlsFailing       = alert{"RainbondRegionTLSFailing", "tls-failing"}
	handshakes       = alert{"RainbondTLSHandshakeErrors", "tls-handshake-errors"}
	mismatch         = alert{"RainbondConsoleCertificateMismatch", "cert-mismatch"}
	drift            = alert{"RainbondRegionCertificateDrift", "cert-drift"}
	unreadable       = alert{"RainbondCertificateUnreadable", "cert-unreadable"}
	expiring         = alert{"RainbondCertificateExpiring", "cert-expiring"}
	listBroken       = alert{"RainbondNodeListBroken", "node-role-list-broken"}
	roleMissing      = alert{"RainbondNodeRoleLabelMissing", "node-role-missing"}
	roleNoNode       = alert{"RainbondRoleWithoutNode", "node-role-no-node"}
	placement        = alert{"RainbondPlacementNodeMissing", "node-role-placement"}
	notReady         = alert{"RainbondComponentNotReady", "component-not-ready"}
	restartPending   = alert{"RainbondRestartPending", "component-restart-pending"}
	operatorFailing  = alert{"RainbondOperatorFailing", "component-operator-failing"}
	rotationPending  = alert{"RainbondCertificateRotationPending", "cert-rotation-pending"}
	nodeDown         = alert{"RainbondNodeDown", "component-node-down"}
	alarmStuck       = alert{"RainbondComponentAlarmStuck", "component-alarm-stuck"}
	monitorStale     = alert{"RainbondMonitorStale", "component-monitor-stale"}
	diskFilling      = alert{"RainbondNodeDiskFilling", "disk-filling"}
	evictionNear     = alert{"RainbondNodeDiskEvictionNear", "disk-eviction-near"}
	diskPressure     = alert{"RainbondNodeDiskPressure", "disk-pressure"}
	inodesLow        = alert{"RainbondNodeInodesLow", "disk-inodes"}
	readOnly         = alert{"RainbondNodeRootReadOnly", "disk-read-only"}
	mountStuck       = alert{"RainbondNodeMountStuck", "disk-mount-stuck"}
	collectorFailing = alert{"RainbondCollectorFailing", "watch-collector-failing"}
	exporterDown     = alert{"RainbondExporterDown", "watch-exporter-down"}
	labelsRenamed    = alert{"RainbondScrapeLabelsRenamed", "watch-labels-renamed"}
	identityConflict = alert{"RainbondIdentityConflict", "watch-identity-conflict"}
	watchdog         = alert{"RainbondWatchdog", "watch-watchdog"}
)
