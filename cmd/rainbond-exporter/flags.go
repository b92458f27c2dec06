package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	webflag "github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"github.com/rainbond-exporter/rainbond-exporter/collector"
	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// defaultAddress is our port, next to be taken in Prometheus' list of
// default port allocations.
const defaultAddress = ":10069"

const help = `Says what is wrong between a Rainbond console and its region.

  rainbond-exporter demo                          a region that breaks on purpose, on http://127.0.0.1:10069
  rainbond-exporter check                         look once at your cluster; ends 0 healthy, 1 faults, 2 could not look
  rainbond-exporter check --watch                 look again and again, until Ctrl-C
  rainbond-exporter serve                         metrics and the status page, in the cluster
  rainbond-exporter rules > rainbond.rules.yaml   the alert rules, for Prometheus`

// flags is everything that can be said on the command line.
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
	nodeName   string
	workers    string
	controls   string
	rootfs     string
	procfs     string
	configz    bool
	root       func(context.Context) (fault.Filesystem, error) // instead of rootfs and procfs
	resolver   *net.Resolver                                   // nil: the system's
	mounts     func(context.Context) ([]fault.Mount, error)    // likewise

	output     string
	lang       string
	rulesFile  string
	checkRules bool
	timeout    time.Duration
	watch      bool
	interval   time.Duration

	scenario string
	bits     int // of the demo's RSA keys; 0: as the operator makes them

	web *web.FlagConfig
	log *promslog.Config
}

// The commands, as kingpin names them.
const (
	cmdServe     = "serve"
	cmdCheck     = "check"
	cmdDemoServe = "demo serve"
	cmdDemoCheck = "demo check"
	cmdRules     = "rules"
)

// self is what we are called.
const self = "rainbond-exporter"

// calledAs is what people type to call us: kubectl calls a plugin by a file
// of its name, such as kubectl-rainbond.
func calledAs(file string) string {
	if plugin, ok := strings.CutPrefix(filepath.Base(file), "kubectl-"); ok {
		return "kubectl " + plugin
	}
	return self
}

// errAsked is the "error" of a command line that only asked for help.
var errAsked = errors.New("help was asked for")

// parse reads the command line. Help and version go to out, with errAsked.
func parse(args []string, out io.Writer) (*flags, error) {
	f := &flags{log: new(promslog.Config)}
	asked := false
	name := calledAs(os.Args[0])
	app := kingpin.New(name, strings.ReplaceAll(help, "  "+self+" ", "  "+name+" "))
	app.Terminate(func(int) { asked = true })
	app.UsageWriter(out)
	app.Version(version.Print(self))
	app.HelpFlag.Short('h')
	promslogflag.AddFlags(app, f.log)

	serve := app.Command(cmdServe, "Serve /metrics, the status page at /, and the guide at /guide.")
	f.lookFlags(serve)
	f.web = webflag.AddFlags(serve, defaultAddress)

	check := app.Command(cmdCheck, "Look once, say what is wrong; end with 0 (healthy), 1 (faults) or 2 (could not look).")
	f.lookFlags(check)
	f.checkFlags(check)
	if name == self {
		serve.Default()
	} else { // who asks kubectl has a question
		check.Default()
	}

	demo := app.Command("demo", "A simulated region on loopback that breaks on purpose.")
	demo.Flag("scenario", "What is broken, several with + between them; the page switches it. A wrong name lists them all.").Default("healthy").StringVar(&f.scenario)
	demo.Flag("rsa-bits", "Size of the simulated region's keys: shorter ones are made sooner.").Hidden().IntVar(&f.bits)
	demoServe := demo.Command(cmdServe, "Serve the demo (default).").Default()
	demoWeb := webflag.AddFlags(demoServe, "127.0.0.1"+defaultAddress)
	demoCheck := demo.Command(cmdCheck, "Look once at the demo and say what is wrong.")
	f.checkFlags(demoCheck)

	rules := app.Command(cmdRules, "Print the embedded rules, as Prometheus loads them.")
	rules.Flag("check", "Say what is wrong with them instead, or with those of FILE (--check=FILE), line by line; end with 1 if anything is.").BoolVar(&f.checkRules)
	rules.Arg("FILE", "A file to check: of rules, or, if it ends in .tmpl, of Alertmanager's templates.").StringVar(&f.rulesFile)

	command, err := app.Parse(args)
	if asked {
		return nil, errAsked
	}
	if err != nil {
		return nil, fmt.Errorf("%w; see %s --help", err, name)
	}
	f.command = command
	if f.directURL == "" { // the Service that the operator makes (rainbond-operator, controllers/handler/api.go)
		f.directURL = "https://rbd-api-api." + f.namespace + ":8443"
	}
	if command == cmdDemoServe {
		f.web = demoWeb
	}
	return f, f.validate()
}

// lookFlags say where to look, and with which collectors.
func (f *flags) lookFlags(c *kingpin.CmdClause) {
	c.Flag("role", "What to look at: cluster (api, tls, cert, node-role, component, disk conditions), node (this machine's disk) or console (api, cert). Repeatable.").
		Default("cluster").StringsVar(&f.roles)
	c.Flag("collectors", "Collectors to use instead of the role's, comma-separated: "+strings.Join(collector.Slugs, ",")+"; or "+noCollectors+", where each region is looked at by /probe.").
		PlaceHolder("A,B").StringVar(&f.collectors)
	c.Flag("kubeconfig", "As kubectl's. By default $KUBECONFIG, in a pod its ServiceAccount, or ~/.kube/config. The node role never asks for one.").
		PlaceHolder("FILE").StringVar(&f.kubeconfig)
	c.Flag("context", "The context of the kubeconfig to use; by default its current one.").PlaceHolder("NAME").StringVar(&f.context)
	c.Flag("namespace", "Namespace of the Rainbond platform.").Default("rbd-system").StringVar(&f.namespace)
	c.Flag("config.file", "YAML with the console's copy of the regions' certificates. Without it, the region is the one of ConfigMap region-config.").
		PlaceHolder("FILE").StringVar(&f.configFile)
	c.Flag("region.name", "What this cluster is called in its console (region_info.region_name).").Default("rainbond").StringVar(&f.regionName)
	c.Flag("region.direct-url", "Where rbd-api answers past its gateway, asked when the console's way fails; by default its Service in --namespace.").
		PlaceHolder("URL").StringVar(&f.directURL)
	c.Flag("node-role.worker", "What may stand after node-role.kubernetes.io/ on a worker, comma-separated.").
		Default(strings.Join(fault.DefaultRoleNames[fault.Worker], ",")).StringVar(&f.workers)
	c.Flag("node-role.control-plane", "The same on a control-plane node.").
		Default(strings.Join(fault.DefaultRoleNames[fault.ControlPlane], ",")).StringVar(&f.controls)
	hostname, _ := os.Hostname()
	c.Flag("node.name", "Name of the node whose disk is looked at.").Envar("NODE_NAME").Default(hostname).StringVar(&f.nodeName)
	c.Flag("kubelet.configz", "Ask the nodes' kubelets, through the API server, at what they evict. Needs the permission to get nodes/proxy.").
		BoolVar(&f.configz)
	c.Flag("path.rootfs", "Where the node's root is mounted.").Default("/").StringVar(&f.rootfs)
	c.Flag("path.procfs", "Where the node's procfs is mounted.").Default("/proc").StringVar(&f.procfs)
}

// checkFlags say how check tells what it saw.
func (f *flags) checkFlags(c *kingpin.CmdClause) {
	c.Flag("output", "text or json.").Default("text").StringVar(&f.output)
	c.Flag("lang", "zh or en; by default what $LANG says.").Default(languageOf(os.Getenv)).StringVar(&f.lang)
	c.Flag("rules", "A rule file to judge by instead of the embedded one.").PlaceHolder("FILE").StringVar(&f.rulesFile)
	c.Flag("timeout", "How long the look may take.").Default(collector.DefaultDeadline.String()).DurationVar(&f.timeout)
	c.Flag("watch", "Look again and again until Ctrl-C: drawn anew on a terminal; elsewhere what changes is appended, or with --output=json one object in a line for each look.").
		Short('w').BoolVar(&f.watch)
	c.Flag("interval", "How often --watch looks.").Default("10s").DurationVar(&f.interval)
}

// languageOf is zh where the locale says so, else en.
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

// validate checks what kingpin cannot, or not in words that name the flag.
func (f *flags) validate() error {
	for _, choice := range []struct {
		flag     string
		given    []string
		expected []string
	}{
		{"role", f.roles, roleNames()},
		{"output", []string{f.output}, []string{"", "text", "json"}},
		{"lang", []string{f.lang}, []string{"", "zh", "en"}},
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
		return errors.New("--role=console: expected --config.file with it, which says where the regions are")
	}
	for role, names := range f.roleNames() {
		for _, name := range names {
			if name == "" || strings.Contains(name, "/") {
				return fmt.Errorf("--node-role.%s: %q; expected what stands after %s/, such as %s", role, name, fault.RoleKey, fault.DefaultRoleNames[role][0])
			}
		}
	}
	if f.command == cmdRules && f.rulesFile != "" && !f.checkRules {
		return fmt.Errorf("rules: unexpected %q; expected --check with it", f.rulesFile)
	}
	if f.timeout < 0 {
		return fmt.Errorf("--timeout: %s; expected a time above zero, such as 10s", f.timeout)
	}
	if f.watch && f.interval < shortest {
		return fmt.Errorf("--interval: %s; expected %s or more, for each look is a TLS handshake with each region", f.interval, shortest)
	}
	return nil
}

// shortest is the shortest interval of --watch.
const shortest = time.Second

// probes says whether a collector asks the regions' APIs.
func probes(slug string) bool { return slug == collector.SlugAPI || slug == collector.SlugCert }

// roleNames are the names that stand for each role on nodes.
func (f *flags) roleNames() fault.RoleNames {
	if f.workers == "" && f.controls == "" { // the demo takes no such flags
		return fault.DefaultRoleNames
	}
	return fault.RoleNames{fault.Worker: strings.Split(f.workers, ","), fault.ControlPlane: strings.Split(f.controls, ",")}
}

// noCollectors is what --collectors says when /metrics shall tell of the
// exporter alone.
const noCollectors = "none"

// wanted lists the collectors to use, in the order of the document.
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
