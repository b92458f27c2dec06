package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	webflag "github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/demo"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
	"github.com/rainbond-exporter/rainbond-exporter/report"
	"github.com/rainbond-exporter/rainbond-exporter/rules"
)

// defaultAddress has the next free port in Prometheus' list of default port
// allocations.
const defaultAddress = ":10069"

// defaultRelayAddress is on loopback, because the relay sends messages for
// everybody who can reach it.
const defaultRelayAddress = "127.0.0.1:10070"

const usage = `Diagnoses faults between a Rainbond console and its region.

  rainbond-exporter demo                          serve a simulated region with faults, on http://127.0.0.1:10069
  rainbond-exporter check                         check the cluster once; exit status 0 healthy, 1 faults, 2 unknown
  rainbond-exporter check --watch                 check repeatedly until Ctrl-C
  rainbond-exporter serve                         serve metrics and the status page, in the cluster
  rainbond-exporter rules > rainbond.rules.yaml   print the alert rules, for Prometheus
  rainbond-exporter relay                         post the notifications of Alertmanager to DingTalk, Feishu or WeCom`

// flags holds the values of the command line.
type flags struct {
	command string

	roles      []string
	collectors string
	kubeconfig string
	context    string
	namespace  string
	configFile string
	regionName string
	directURL  string
	route      string
	inCluster  bool // the exporter runs in the cluster that it reads
	nodeName   string
	workers    string
	controls   string
	rootfs     string
	procfs     string
	dataPaths  []string
	kubectl    string
	configz    bool
	root       func(context.Context) (fault.Filesystem, error) // replaces rootfs and procfs
	resolver   *net.Resolver                                   // nil for the system's
	observed   func(fault.Trace) fault.Trace                   // nil for the trace itself
	mounts     func(context.Context) ([]fault.Mount, error)    // replaces rootfs and procfs

	output      string
	lang        string
	rulesFile   string
	checkRules  bool
	checkConfig bool
	rules       rulesFlags
	dashboards  dashboardsFlags
	timeout     time.Duration
	watch       bool
	interval    time.Duration

	collectionTimeout            time.Duration
	webURL, grafanaURL, guideURL string // external URLs, without a trailing slash; "" if unknown

	prometheusURL, alertmanagerURL string // without a trailing slash; "" for no card about alerting
	relayURL, relayTokenFile       string // of the demo's test message; "" without a relay
	frameAncestor                  string // origin; "" for none

	relayFile string
	test      testAlertFlags

	scenario     string
	installation string
	bits         int // size of the demo's RSA keys; 0 for the operator's size

	web *web.FlagConfig
	log *promslog.Config
}

// The commands, as kingpin names them.
const (
	cmdServe      = "serve"
	cmdCheck      = "check"
	cmdDemoServe  = "demo serve"
	cmdDemoCheck  = "demo check"
	cmdRules      = "rules"
	cmdDashboards = "dashboards"
	cmdRelay      = "relay"
	cmdTestAlert  = "test-alert"
)

// self is the name of the program.
const self = "rainbond-exporter"

// calledAs returns the command that users type. A kubectl plugin is a file
// such as kubectl-rainbond.
func calledAs(file string) string {
	if plugin, ok := strings.CutPrefix(filepath.Base(file), "kubectl-"); ok {
		return "kubectl " + plugin
	}
	return self
}

// A duration is the value of a flag. Its error names the flag, which that of
// kingpin does not.
type duration struct {
	flag  string
	value *time.Duration
}

func (d *duration) Set(text string) error {
	value, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("--%s: %q; expected a duration, such as 10s or 1m30s", d.flag, text)
	}
	*d.value = value
	return nil
}

func (d *duration) String() string { return d.value.String() }

// versionText returns the version of the program. A binary that go install made
// has the version of its module.
var versionText = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok && version.Version == "" {
		version.Version = info.Main.Version
	}
	return version.Print(self)
})

// errHelp is the "error" of a command line that only requests help.
var errHelp = errors.New("help requested")

// parse reads the command line. Help and version go to out, with errHelp.
func parse(args []string, out io.Writer) (*flags, error) {
	f := &flags{log: new(promslog.Config)}
	help := false
	name := calledAs(os.Args[0])
	app := kingpin.New(name, strings.ReplaceAll(usage, "  "+self+" ", "  "+name+" "))
	app.Terminate(func(int) { help = true })
	app.UsageWriter(out)
	app.Version(versionText())
	app.HelpFlag.Short('h')
	promslogflag.AddFlags(app, f.log)

	serve := app.Command(cmdServe, "Serve /metrics, the status page at /, and the guide at /guide.")
	f.sourceFlags(serve)
	serve.Flag("config.check", "Check --config.file and exit. Exit status: 0 valid, 2 invalid.").BoolVar(&f.checkConfig)
	serve.Flag("collection.timeout", "Time limit of a collection. It is independent of the timeouts of the scrapers, which share a collection.").
		Default(collector.DefaultTimeout.String()).SetValue(&duration{"collection.timeout", &f.collectionTimeout})
	f.linkFlags(serve)
	f.alertingFlags(serve)
	f.frameFlag(serve)
	f.web = webflag.AddFlags(serve, defaultAddress)

	check := app.Command(cmdCheck, "Check once and print the faults. Exit status: 0 healthy, 1 faults, 2 unknown.")
	f.sourceFlags(check)
	f.linkFlags(check)
	f.checkFlags(check)
	if name == self {
		serve.Default()
	} else { // a kubectl plugin checks by default
		check.Default()
	}

	demo := app.Command("demo", "Run a simulated region with faults, on loopback.")
	demo.Flag("scenario", "Faults of the region, separated by +. The page changes them. An unknown name lists all.").Default("healthy").StringVar(&f.scenario)
	demo.Flag("installation", "Simulated installation: "+installations()+".").PlaceHolder("NAME").StringVar(&f.installation)
	demo.Flag("rsa-bits", "Size of the simulated region's RSA keys.").Hidden().IntVar(&f.bits)
	demoServe := demo.Command(cmdServe, "Serve the demo (default).").Default()
	demoWeb := webflag.AddFlags(demoServe, "127.0.0.1"+defaultAddress)
	f.alertingFlags(demoServe)
	demoServe.Flag("alerting.relay-url", "URL of the relay, for the test message of the page. Requires --alerting.alertmanager-url.").PlaceHolder("URL").StringVar(&f.relayURL)
	demoServe.Flag("alerting.relay-token-file", "File with the token of the relay.").PlaceHolder("FILE").StringVar(&f.relayTokenFile)
	demoCheck := demo.Command(cmdCheck, "Check the demo once and print the faults.")
	f.checkFlags(demoCheck)

	printed := app.Command(cmdRules, "Print the embedded rules, as Prometheus loads them.")
	printed.Flag("check", "Check the rules instead, or those in FILE (--check=FILE), and print each mistake with its line. Exit status 1 if there is any.").BoolVar(&f.checkRules)
	f.rules.add(printed)
	printed.Arg("FILE", "A rule file to check, or a file of Alertmanager templates if its name ends in .tmpl.").StringVar(&f.rulesFile)

	f.dashboards.add(app.Command(cmdDashboards, "Write the Grafana dashboards into a directory."))

	relay := app.Command(cmdRelay, "Post the notifications of Alertmanager to group robots of DingTalk, Feishu and WeCom. See docs/relay.md.")
	relay.Flag("config.file", "YAML file with the receivers.").PlaceHolder("FILE").Required().StringVar(&f.relayFile)
	relayWeb := webflag.AddFlags(relay, defaultRelayAddress)

	f.test.add(app.Command(cmdTestAlert, "Send a marked test message through Alertmanager and the relay, and report where it stops. Exit status: 0 arrived, 1 stopped, 2 not started."), &f.lang)

	command, err := app.Parse(args)
	if help {
		return nil, errHelp
	}
	if err != nil {
		return nil, fmt.Errorf("%w; see %s --help", err, name)
	}
	f.command = command
	if f.directURL == "" { // the Service that the operator creates (rainbond-operator, controllers/handler/api.go)
		f.directURL = "https://rbd-api-api." + f.namespace + ":8443"
	}
	f.inCluster = f.kubeconfig == "" && os.Getenv("KUBECONFIG") == "" && os.Getenv("KUBERNETES_SERVICE_HOST") != ""
	switch command {
	case cmdDemoServe:
		f.web = demoWeb
	case cmdRelay:
		f.web = relayWeb
	}
	return f, f.validate()
}

// sourceFlags defines the flags for the data sources and the collectors.
func (f *flags) sourceFlags(c *kingpin.CmdClause) {
	c.Flag("role", "What to collect: cluster (api, tls, cert, node-role, component, disk conditions), node (this machine's disk) or console (api, cert). Repeatable.").
		Default("cluster").StringsVar(&f.roles)
	c.Flag("collectors", "Collectors to use instead of the role's, comma-separated: "+strings.Join(collector.Slugs, ",")+"; or "+noCollectors+", if /probe collects each region.").
		PlaceHolder("A,B").StringVar(&f.collectors)
	c.Flag("kubeconfig", "Kubeconfig file. Default: $KUBECONFIG, the ServiceAccount of the pod, or ~/.kube/config. The node role does not use one.").
		PlaceHolder("FILE").StringVar(&f.kubeconfig)
	c.Flag("context", "Context of the kubeconfig. Default: the current context.").PlaceHolder("NAME").StringVar(&f.context)
	c.Flag("namespace", "Namespace of the Rainbond platform.").Default("rbd-system").StringVar(&f.namespace)
	c.Flag("kubectl", "How to run kubectl, in the commands of check and the status page. Quick installation: \"docker exec rainbond kubectl\".").
		Default(rules.DefaultKubectl).StringVar(&f.kubectl)
	c.Flag("config.file", "YAML file with the console's copies of the regions' certificates, or the console's database. Default: the region of the ConfigMap region-config.").
		PlaceHolder("FILE").StringVar(&f.configFile)
	c.Flag("region.name", "Name of this cluster in its console (region_info.region_name).").Default("rainbond").StringVar(&f.regionName)
	c.Flag("region.direct-url", "URL of rbd-api that bypasses the gateway, probed if the console's route fails. Default: its Service in --namespace.").
		PlaceHolder("URL").StringVar(&f.directURL)
	c.Flag("region.route", "Address that is probed if no --config.file contains it: service (the Service rbd-api-api, for a console in --namespace), api_address (apiAddress of ConfigMap region-config, for a console elsewhere) or auto (service if rbd-app-ui runs in --namespace).").
		Default(string(fault.RouteAuto)).StringVar(&f.route)
	c.Flag("node-role.worker", "Suffixes of the label node-role.kubernetes.io/ on a worker, comma-separated.").
		Default(strings.Join(fault.DefaultRoleNames[fault.Worker], ",")).StringVar(&f.workers)
	c.Flag("node-role.control-plane", "The same on a control-plane node.").
		Default(strings.Join(fault.DefaultRoleNames[fault.ControlPlane], ",")).StringVar(&f.controls)
	hostname, _ := os.Hostname()
	c.Flag("node.name", "Name of the node whose disk is inspected.").Envar("NODE_NAME").Default(hostname).StringVar(&f.nodeName)
	c.Flag("kubelet.configz", "Read the eviction thresholds of the kubelets through the API server. Requires the permission to get nodes/proxy.").
		BoolVar(&f.configz)
	c.Flag("path.rootfs", "Mount point of the node's root file system.").Default("/").StringVar(&f.rootfs)
	c.Flag("path.procfs", "Mount point of the node's procfs.").Default("/proc").StringVar(&f.procfs)
	c.Flag("path.data", "Absolute path of a directory whose file systems are inspected in addition to those of Kubernetes and Rainbond, such as /data. Repeatable.").
		PlaceHolder("PATH").StringsVar(&f.dataPaths)
}

// linkFlags defines the flags for links to other pages.
func (f *flags) linkFlags(c *kingpin.CmdClause) {
	externalURLs(c, &f.webURL, &f.grafanaURL, &f.guideURL)
}

// externalURLs defines the flags for the URLs of other pages.
func externalURLs(c *kingpin.CmdClause, web, grafana, guide *string) {
	c.Flag("web.external-url", "URL of the exporter's status page, for links to its guide.").PlaceHolder("URL").StringVar(web)
	c.Flag("grafana.external-url", "URL of Grafana, for links to the dashboards.").PlaceHolder("URL").StringVar(grafana)
	c.Flag("guide.external-url", "URL of the guide. Default: --web.external-url followed by /guide, otherwise the project page.").PlaceHolder("URL").StringVar(guide)
}

// alertingFlags defines the flags of the status page about alerting.
func (f *flags) alertingFlags(c *kingpin.CmdClause) {
	c.Flag("alerting.prometheus-url", "URL of the Prometheus that evaluates the rules. The status page then has a card about alerting. Requires --alerting.alertmanager-url.").
		PlaceHolder("URL").StringVar(&f.prometheusURL)
	c.Flag("alerting.alertmanager-url", "URL of its Alertmanager.").PlaceHolder("URL").StringVar(&f.alertmanagerURL)
}

// frameFlag defines the flag for who may embed the status page.
func (f *flags) frameFlag(c *kingpin.CmdClause) {
	c.Flag("web.frame-ancestor", "Origin of the only site that may embed the status page, such as https://console.example.com:7070. Default: none.").
		PlaceHolder("ORIGIN").StringVar(&f.frameAncestor)
}

// checkAlerting checks these flags and removes a slash at the end of the URLs.
func (f *flags) checkAlerting() error {
	for name, value := range map[string]*string{"prometheus": &f.prometheusURL, "alertmanager": &f.alertmanagerURL, "relay": &f.relayURL} {
		if err := report.CheckURL(value, "http://"+name+":9090"); err != nil {
			return fmt.Errorf("--alerting.%s-url: %w", name, err)
		}
	}
	if (f.prometheusURL == "") != (f.alertmanagerURL == "") {
		return errors.New("--alerting.prometheus-url, --alerting.alertmanager-url: only one is set; expected both or none")
	}
	if f.relayURL != "" && f.alertmanagerURL == "" || f.relayTokenFile != "" && f.relayURL == "" {
		return errors.New("--alerting.relay-url, --alerting.relay-token-file: expected --alerting.alertmanager-url and, with a token, --alerting.relay-url")
	}
	if u, err := url.Parse(f.frameAncestor); f.frameAncestor != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || f.frameAncestor != u.Scheme+"://"+u.Host || !validHost.MatchString(u.Host)) {
		return fmt.Errorf("--web.frame-ancestor: %q; expected one origin without a path, such as https://console.example.com:7070", f.frameAncestor)
	}
	return nil
}

// validHost matches what may be in a Content-Security-Policy: no blank, semicolon or wildcard.
var validHost = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?$`)

// links checks and returns the external URLs.
func (f *flags) links() (report.Links, error) {
	for name, value := range map[string]*string{"web": &f.webURL, "grafana": &f.grafanaURL, "guide": &f.guideURL} {
		if err := report.CheckURL(value, "https://rainbond.example.com"); err != nil {
			return report.Links{}, fmt.Errorf("--%s.external-url: %w", name, err)
		}
	}
	links := report.Links{Guide: f.guideURL, Grafana: f.grafanaURL}
	if links.Guide == "" && f.webURL != "" {
		links.Guide = f.webURL + "/guide"
	}
	return links, nil
}

// checkFlags defines the flags of check.
func (f *flags) checkFlags(c *kingpin.CmdClause) {
	c.Flag("output", "Output format: text or json.").Default("text").StringVar(&f.output)
	c.Flag("lang", "Language: zh or en. Default: from $LANG.").Default(languageOf(os.Getenv)).StringVar(&f.lang)
	c.Flag("rules", "Rule file to evaluate instead of the embedded rules.").PlaceHolder("FILE").StringVar(&f.rulesFile)
	c.Flag("timeout", "Time limit of the check.").Default(collector.DefaultTimeout.String()).SetValue(&duration{"timeout", &f.timeout})
	c.Flag("watch", "Check repeatedly until Ctrl-C. A terminal is redrawn; other outputs get the changes, or with --output=json one line per check.").
		Short('w').BoolVar(&f.watch)
	c.Flag("interval", "Interval of --watch.").Default("10s").SetValue(&duration{"interval", &f.interval})
}

// languageOf returns zh for a Chinese locale, otherwise en.
func languageOf(env func(string) string) string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if locale := env(name); locale != "" {
			if strings.HasPrefix(strings.ToLower(locale), "zh") {
				return "zh"
			}
			return "en"
		}
	}
	return "en"
}

// validate checks what kingpin cannot check, or reports without the flag's name.
func (f *flags) validate() error {
	for _, choice := range []struct {
		flag     string
		given    []string
		expected []string
	}{
		{"role", f.roles, roleNames()},
		{"output", []string{f.output}, []string{"", "text", "json"}},
		{"lang", []string{f.lang}, []string{"", "zh", "en"}},
		{"region.route", []string{f.route}, []string{"", string(fault.RouteAuto), string(fault.RouteService), string(fault.RouteAPIAddress)}},
	} {
		for _, value := range choice.given {
			if !slices.Contains(choice.expected, value) {
				return fmt.Errorf("--%s: unknown value %q; expected %s", choice.flag, value, strings.TrimPrefix(strings.Join(choice.expected, " or "), " or "))
			}
		}
	}
	for _, name := range f.wanted() {
		if !slices.Contains(collector.Slugs, name) {
			return fmt.Errorf("--collectors: unknown collector %q; expected some of %s", name, strings.Join(collector.Slugs, ", "))
		}
	}
	if f.configFile == "" && len(f.roles) > 0 && !slices.Contains(f.roles, "cluster") && (f.collectors == noCollectors || slices.ContainsFunc(f.wanted(), probes)) {
		return errors.New("--role=console: expected --config.file, which contains the regions")
	}
	if err := f.ambiguousRole(); err != nil {
		return err
	}
	for role, names := range f.roleNames() {
		for _, name := range names {
			if name == "" || strings.Contains(name, "/") {
				return fmt.Errorf("--node-role.%s: %q; expected the suffix of %s/, such as %s", role, name, fault.RoleKey, fault.DefaultRoleNames[role][0])
			}
		}
	}
	for i, data := range f.dataPaths {
		f.dataPaths[i] = path.Clean(data)
		if f.dataPaths[i] == "/" || !path.IsAbs(data) || !utf8.ValidString(data) {
			return fmt.Errorf("--path.data: %q; expected an absolute path other than /, such as /data", data)
		}
	}
	if f.command == cmdRules && f.rules.variant.Platform.Namespace == "" {
		return errNoNamespace
	}
	if f.command == cmdRules && f.rulesFile != "" && !f.checkRules {
		return fmt.Errorf("rules: unexpected %q; expected --check", f.rulesFile)
	}
	if f.collectionTimeout != 0 && f.collectionTimeout < collector.MinTimeout || f.collectionTimeout == 0 && f.command == cmdServe {
		return fmt.Errorf("--collection.timeout: %s; expected %s or more, because a probe of a region that does not respond takes up to 6s", f.collectionTimeout, collector.MinTimeout)
	}
	if err := f.checkAlerting(); err != nil {
		return err
	}
	if _, err := f.links(); err != nil {
		return err
	}
	if (f.command == cmdCheck || f.command == cmdDemoCheck) && f.timeout <= 0 {
		return fmt.Errorf("--timeout: %s; expected a duration above 0, such as 10s", f.timeout)
	}
	if f.command == cmdServe || f.command == cmdCheck {
		if err := f.validateRegion(); err != nil {
			return err
		}
	}
	if f.checkConfig && f.configFile == "" {
		return errors.New("--config.check: expected --config.file, the file to check")
	}
	if f.watch && f.interval < minInterval {
		return fmt.Errorf("--interval: %s; expected %s or more, because each check makes a TLS handshake with each region", f.interval, minInterval)
	}
	return nil
}

// validateRegion checks the flags that identify the region.
func (f *flags) validateRegion() error {
	if err := (rules.Platform{Namespace: f.namespace, Kubectl: f.kubectl}).Validate(); err != nil {
		return err
	}
	if f.namespace == "" {
		return errNoNamespace
	}
	if !validName(f.regionName) {
		return fmt.Errorf("--region.name: %q; expected the name of the region in its console, in UTF-8", f.regionName)
	}
	if slices.Contains(f.roles, "node") && !validName(f.nodeName) {
		return fmt.Errorf("--node.name: %q; expected the name of the node, in UTF-8", f.nodeName)
	}
	u, err := url.Parse(f.directURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("--region.direct-url: not a URL; expected https://HOST:PORT, without user and query")
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || port == 0) {
		return fmt.Errorf("--region.direct-url: port %s; expected 1 to 65535", u.Port())
	}
	return nil
}

var errNoNamespace = errors.New("--namespace: is empty; expected the namespace of the platform, such as rbd-system")

// validName reports whether a name can be a label value that people can read.
func validName(name string) bool {
	return name != "" && strings.TrimSpace(name) == name && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}

// minInterval is the minimum of --interval.
const minInterval = time.Second

// probes reports whether a collector probes the region APIs.
func probes(slug string) bool { return slug == collector.SlugAPI || slug == collector.SlugCert }

// installations returns the names of the demo's installations.
func installations() string {
	var names []string
	for _, i := range demo.Installations {
		names = append(names, i.Name)
	}
	return strings.Join(names, ", ")
}

// ambiguousRole returns an error if a name belongs to two roles.
func (f *flags) ambiguousRole() error {
	names := f.roleNames()
	for _, name := range names[fault.Worker] {
		if slices.Contains(names[fault.ControlPlane], name) {
			return fmt.Errorf("--node-role.worker and --node-role.control-plane: both contain %q; expected each name in one of them", name)
		}
	}
	return nil
}

// roleNames returns the label suffixes of each role of nodes.
func (f *flags) roleNames() fault.RoleNames {
	if f.workers == "" && f.controls == "" { // the demo has no such flags
		return fault.DefaultRoleNames
	}
	return fault.RoleNames{fault.Worker: strings.Split(f.workers, ","), fault.ControlPlane: strings.Split(f.controls, ",")}
}

// noCollectors is the value of --collectors for a /metrics with only the
// metrics of the exporter itself.
const noCollectors = "none"

// wanted returns the collectors to use, in the order of collector.Slugs.
func (f *flags) wanted() []string {
	switch f.collectors {
	case "":
	case noCollectors:
		return nil
	default:
		return strings.Split(f.collectors, ",")
	}
	var wanted []string
	for _, slug := range collector.Slugs {
		if slices.ContainsFunc(f.roles, func(role string) bool { return slices.Contains(roles[role], slug) }) {
			wanted = append(wanted, slug)
		}
	}
	return wanted
}
