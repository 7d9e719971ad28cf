// Command kube-router is the firewall of kube-router alone, made for two cores. Its own command writes all rules
// at each change of a pod or policy, and asks iptables some twenty times before, whether those stand that it
// wrote at the start: a quarter of the lab's CPU time while the e2e suite ran.
package main

import (
	"flag"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"github.com/cloudnativelabs/kube-router/v2/pkg/utils"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// pace is the least time between two writes of all rules, the longest that a change waits while others come.
const pace = 200 * time.Millisecond

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how the API server is reached")
	node := flag.String("node", "", "the name of this node")
	services := flag.String("service-cluster-ip-range", "", "the addresses of Services")
	flag.Parse()
	quiet()
	config := options.NewKubeRouterConfig()
	config.RunFirewall, config.EnableIPv4 = true, true
	config.HostnameOverride = *node
	config.ClusterIPCIDRs = []string{*services}
	if err := run(*kubeconfig, config); err != nil {
		klog.Fatal(err)
	}
}

// quiet leaves errors: each change is told with warnings about address families that the lab does not have.
func quiet() {
	klog.LogToStderr(false)
	for severity, output := range map[string]io.Writer{
		"INFO": io.Discard, "WARNING": io.Discard, "ERROR": os.Stderr, "FATAL": os.Stderr,
	} {
		klog.SetOutputBySeverity(severity, output)
	}
}

func run(kubeconfig string, config *options.KubeRouterConfig) error {
	access, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(access)
	if err != nil {
		return err
	}
	forever := make(chan struct{})
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods().Informer()
	namespaces := factory.Core().V1().Namespaces().Informer()
	policies := factory.Networking().V1().NetworkPolicies().Informer()
	factory.Start(forever)
	factory.WaitForCacheSync(forever)

	tables, sets, err := netpol.NewIPTablesHandlers(config)
	if err != nil {
		return err
	}
	for family, table := range tables {
		tables[family] = &remembered{IPTablesHandler: table, known: map[string][]string{}}
	}
	firewall, err := netpol.NewNetworkPolicyController(
		client, config, pods, policies, namespaces, &sync.Mutex{}, tables, sets)
	if err != nil {
		return err
	}
	if _, err := pods.AddEventHandler(firewall.PodEventHandler); err != nil {
		return err
	}
	if _, err := namespaces.AddEventHandler(firewall.NamespaceEventHandler); err != nil {
		return err
	}
	if _, err := policies.AddEventHandler(firewall.NetworkPolicyEventHandler); err != nil {
		return err
	}
	beats := make(chan *healthcheck.ControllerHeartbeat)
	go func() {
		for range beats { // each write begins with one, and waits until it is taken
			time.Sleep(pace)
		}
	}()
	var ended sync.WaitGroup
	ended.Add(1)
	firewall.Run(beats, forever, &ended)
	return nil
}

// remembered asks once for what nobody but this process changes: the rules that lead to its chains. The chains
// of pods and policies are not asked for in this way, but written as a whole.
type remembered struct {
	utils.IPTablesHandler
	known map[string][]string
}

func (r *remembered) ask(what string, ask func() ([]string, error), words ...string) ([]string, error) {
	key := strings.Join(append([]string{what}, words...), "\x00")
	if answer, found := r.known[key]; found {
		return slices.Clone(answer), nil
	}
	answer, err := ask()
	if err == nil && len(answer) > 0 { // what is not there may come
		r.known[key] = slices.Clone(answer)
	}
	return answer, err
}

func (r *remembered) yes(what string, ask func() (bool, error), words ...string) (bool, error) {
	answer, err := r.ask(what, func() ([]string, error) {
		found, err := ask()
		if !found {
			return nil, err
		}
		return []string{"yes"}, err
	}, words...)
	return len(answer) > 0, err
}

func (r *remembered) Exists(table, chain string, rule ...string) (bool, error) {
	words := append([]string{table, chain}, rule...)
	return r.yes("rule", func() (bool, error) { return r.IPTablesHandler.Exists(table, chain, rule...) }, words...)
}

func (r *remembered) ChainExists(table, chain string) (bool, error) {
	return r.yes("chain", func() (bool, error) { return r.IPTablesHandler.ChainExists(table, chain) }, table, chain)
}

func (r *remembered) List(table, chain string) ([]string, error) {
	return r.ask("rules", func() ([]string, error) { return r.IPTablesHandler.List(table, chain) }, table, chain)
}

func (r *remembered) AppendUnique(table, chain string, rule ...string) error {
	if found, err := r.Exists(table, chain, rule...); err != nil || found {
		return err
	}
	return r.IPTablesHandler.Append(table, chain, rule...)
}

func (r *remembered) Insert(table, chain string, place int, rule ...string) error {
	clear(r.known)
	return r.IPTablesHandler.Insert(table, chain, place, rule...)
}

func (r *remembered) Delete(table, chain string, rule ...string) error {
	clear(r.known)
	return r.IPTablesHandler.Delete(table, chain, rule...)
}
