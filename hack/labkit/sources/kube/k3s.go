package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	logsapi "k8s.io/component-base/logs/api/v1"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

// release is the k3s whose behaviour at start the double plays, as read in its source and documentation.
const release = "v1.36.3+k3s1"

// k3s is a test double of `k3s server`: it takes the command line and the file layout that vcp uses and runs the same
// upstream components in one process, with the defaults that k3s gives them, behind the same listener and with the same
// record in the datastore. It is not k3s: no agent, no datastore of its own, no packaged components, no join.
type k3s struct {
	flags map[string][]string
	data  string
	token string
}

type flagKind int

const (
	toggle flagKind = iota
	single
	list
)

// The flags of `k3s server` (https://docs.k3s.io/cli/server) that the double plays. Another one is an error, as an
// unknown one is to k3s, so that a flag which vcp invents or misspells is found here.
var k3sFlags = map[string]flagKind{
	"data-dir": single, "write-kubeconfig": single, "write-kubeconfig-mode": single,
	"disable-agent": toggle, "disable-scheduler": toggle, "disable-cloud-controller": toggle,
	"disable-kube-proxy": toggle, "disable-network-policy": toggle, "disable-helm-controller": toggle,
	"disable": list, "flannel-backend": single, "egress-selector-mode": single,
	"https-listen-port": single, "bind-address": single, "advertise-address": single, "tls-san": list,
	"service-cidr": single, "cluster-cidr": single, "cluster-dns": single, "cluster-domain": single,
	"service-node-port-range": single, "token-file": single, "datastore-endpoint": single, "datastore-cafile": single,
	"datastore-certfile": single, "datastore-keyfile": single,
	"kube-apiserver-arg": list, "kube-controller-manager-arg": list,
}

// runK3s starts in the order of k3s: the record in the datastore, the files that are missing, the listener, the node's
// password, the record again, and then the API server and, once it is ready, the controllers.
func runK3s(arguments []string) error {
	log.SetFlags(0)
	log.Printf("k3s stand-in: plays k3s %s, a test double made of upstream components, not k3s", release)
	server, err := parseK3s(arguments)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	record, err := server.bootstrap(ctx)
	if err != nil {
		return fmt.Errorf("preparing server: failed to bootstrap cluster data: %w", err)
	}
	leafs, err := server.prepare()
	if err != nil {
		return fmt.Errorf("failed to generate server dependencies: %w", err)
	}
	front, err := server.listen(ctx, leafs)
	if err != nil {
		return fmt.Errorf("failed to start supervisor listener: %w", err)
	}
	if err := nodePassword(ctx); err != nil {
		return nil // a signal came first
	}
	if err := record.save(ctx); err != nil {
		return fmt.Errorf("starting kubernetes: failed to start cluster: %w", err)
	}
	if err := server.writeKubeconfigs(leafs); err != nil {
		return err
	}
	return server.runComponents(ctx, front, leafs)
}

// runComponents returns when a component has ended, which ends k3s, or some seconds after a signal: the components
// outlive the listener by that time.
func (k *k3s) runComponents(signalled context.Context, front *supervisor, made *leafs) error {
	// Two components in one process configure logging twice; k3s allows it in the same way.
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	context.AfterFunc(signalled, func() { time.AfterFunc(5*time.Second, cancel) })
	ended := make(chan error, 3)
	go func() { ended <- runAPIServer(ctx, k.apiserver(made), front.handle) }()
	go func() {
		if err := k.waitForAPI(ctx, made); err != nil {
			ended <- err
			return
		}
		go func() {
			if err := front.share(ctx); err != nil && ctx.Err() == nil {
				ended <- fmt.Errorf("serving certificate: %w", err)
			}
		}()
		ended <- component(ctx, controllermanager.NewControllerManagerCommand(), k.controllerManager(made))
	}()
	err := <-ended
	if ctx.Err() != nil {
		<-ended // both drain after a signal
		return nil
	}
	return fmt.Errorf("a component ended: %w", err)
}

func parseK3s(arguments []string) (*k3s, error) {
	if len(arguments) == 0 || arguments[0] != "server" {
		return nil, errors.New("usage: k3s server [flags]; the stand-in has no other command")
	}
	flags := map[string][]string{}
	for _, argument := range arguments[1:] {
		name, value, given := strings.Cut(strings.TrimLeft(argument, "-"), "=")
		kind, known := k3sFlags[name]
		switch {
		case !known || !strings.HasPrefix(argument, "--"):
			return nil, fmt.Errorf("flag provided but not defined: -%s", name)
		case kind != toggle && !given:
			return nil, fmt.Errorf("flag needs an argument: -%s", name)
		case kind == single && flags[name] != nil:
			return nil, fmt.Errorf("-%s is given twice", name)
		}
		flags[name] = append(flags[name], value)
	}
	server := &k3s{flags: flags}
	server.data = server.one("data-dir", "/var/lib/rancher/k3s")
	if flags["disable-agent"] == nil {
		return nil, errors.New("the stand-in has no agent: pass --disable-agent")
	}
	if !strings.HasPrefix(server.one("datastore-endpoint", ""), "https://") {
		return nil, errors.New("the stand-in has no datastore of its own: pass --datastore-endpoint=https://…")
	}
	content, err := os.ReadFile(server.one("token-file", ""))
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	if server.token = strings.TrimSpace(string(content)); server.token == "" {
		return nil, errors.New("--token-file: the file is empty")
	}
	return server, nil
}

func (k *k3s) one(name, otherwise string) string {
	if values := k.flags[name]; values != nil {
		return values[0]
	}
	return otherwise
}

func (k *k3s) folder(name string) string { return filepath.Join(k.data, "server", name) }

func (k *k3s) tls(name string) string { return filepath.Join(k.folder("tls"), name) }

// port is the supervisor's, to which clients come; the API server listens on the next one, on loopback alone.
func (k *k3s) port() int {
	port, _ := strconv.Atoi(k.one("https-listen-port", "6443"))
	return port
}

func (k *k3s) apiPort() string { return strconv.Itoa(k.port() + 1) }

// prepare reads the CAs and makes what is missing beside them: the leafs, and the files of an etcd of its own and of a
// network that nobody uses here, which are recorded in the datastore all the same.
func (k *k3s) prepare() (*leafs, error) {
	made, err := issueLeafs(k.folder("tls"), k.names())
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"server-ca", "peer-ca"} {
		if err := made.authority(filepath.Join("etcd", name)); err != nil {
			return nil, err
		}
	}
	return made, k.writeSecrets()
}

// writeSecrets makes the users' passwords from the token, and a key for a network that is not there.
func (k *k3s) writeSecrets() error {
	users := fmt.Sprintf("%s,node,node,k3s:agent\n%s,server,server,k3s:server\n", k.token, k.token)
	if err := os.WriteFile(filepath.Join(k.folder("cred"), "passwd"), []byte(users), 0o600); err != nil {
		return err
	}
	path := filepath.Join(k.folder("cred"), "ipsec.psk")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	return os.WriteFile(path, []byte(rand.Text()+"\n"), 0o600)
}

// writeKubeconfigs writes them for the components and for the administrator.
func (k *k3s) writeKubeconfigs(made *leafs) error {
	credentials, server := k.folder("cred"), "https://127.0.0.1:"+k.apiPort()
	paths := map[string]string{
		filepath.Join(credentials, "admin.kubeconfig"):      "client-admin",
		filepath.Join(credentials, "controller.kubeconfig"): "client-controller",
	}
	if path := k.one("write-kubeconfig", ""); path != "" {
		paths[path] = "client-admin"
	}
	for path, client := range paths {
		if err := made.writeKubeconfig(path, server, client); err != nil {
			return err
		}
	}
	return nil
}

func (k *k3s) names() []string {
	domain := k.one("cluster-domain", "cluster.local")
	names := []string{
		"localhost", "127.0.0.1", "::1", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc." + domain,
	}
	if _, network, err := net.ParseCIDR(k.one("service-cidr", "10.43.0.0/16")); err == nil {
		first := slices.Clone(network.IP)
		first[len(first)-1]++
		names = append(names, first.String())
	}
	return append(names, k.flags["tls-san"]...)
}

func (k *k3s) apiserver(made *leafs) []string {
	domain := k.one("cluster-domain", "cluster.local")
	issuer := "https://kubernetes.default.svc." + domain
	return arguments(k.flags["kube-apiserver-arg"], map[string]string{
		"allow-privileged":                   "true",
		"anonymous-auth":                     "false",
		"api-audiences":                      issuer + ",k3s",
		"authorization-mode":                 "Node,RBAC",
		"bind-address":                       "127.0.0.1",
		"cert-dir":                           k.tls("temporary-certs"),
		"client-ca-file":                     k.tls("client-ca.crt"),
		"enable-admission-plugins":           "NodeRestriction",
		"enable-bootstrap-token-auth":        "true",
		"etcd-cafile":                        k.one("datastore-cafile", ""),
		"etcd-certfile":                      k.one("datastore-certfile", ""),
		"etcd-keyfile":                       k.one("datastore-keyfile", ""),
		"etcd-servers":                       k.one("datastore-endpoint", ""),
		"kubelet-certificate-authority":      k.tls("server-ca.crt"),
		"kubelet-client-certificate":         made.certificate("client-kube-apiserver"),
		"kubelet-client-key":                 made.key("client-kube-apiserver"),
		"kubelet-preferred-address-types":    "InternalIP,ExternalIP,Hostname",
		"profiling":                          "false",
		"proxy-client-cert-file":             made.certificate("client-auth-proxy"),
		"proxy-client-key-file":              made.key("client-auth-proxy"),
		"requestheader-allowed-names":        "system:auth-proxy",
		"requestheader-client-ca-file":       k.tls("request-header-ca.crt"),
		"requestheader-extra-headers-prefix": "X-Remote-Extra-",
		"requestheader-group-headers":        "X-Remote-Group",
		"requestheader-username-headers":     "X-Remote-User",
		"secure-port":                        k.apiPort(),
		"service-account-issuer":             issuer,
		"service-account-key-file":           k.tls("service.key"),
		"service-account-signing-key-file":   k.tls("service.key"),
		"service-cluster-ip-range":           k.one("service-cidr", "10.43.0.0/16"),
		"service-node-port-range":            k.one("service-node-port-range", "30000-32767"),
		"storage-backend":                    "etcd3",
		"tls-cert-file":                      made.certificate("serving-kube-apiserver"),
		"tls-private-key-file":               made.key("serving-kube-apiserver"),
	})
}

func (k *k3s) controllerManager(made *leafs) []string {
	kubeconfig := filepath.Join(k.data, "server", "cred", "controller.kubeconfig")
	signers := map[string]string{}
	for name, authority := range map[string]string{
		"kube-apiserver-client": "client-ca", "kubelet-client": "client-ca",
		"kubelet-serving": "server-ca", "legacy-unknown": "server-ca",
	} {
		signers["cluster-signing-"+name+"-cert-file"] = k.tls(authority + ".crt")
		signers["cluster-signing-"+name+"-key-file"] = k.tls(authority + ".key")
	}
	own := map[string]string{
		"allocate-node-cidrs":              "true",
		"authentication-kubeconfig":        kubeconfig,
		"authorization-kubeconfig":         kubeconfig,
		"bind-address":                     "127.0.0.1",
		"cluster-cidr":                     k.one("cluster-cidr", "10.42.0.0/16"),
		"configure-cloud-routes":           "false",
		"controllers":                      "*,tokencleaner",
		"kubeconfig":                       kubeconfig,
		"profiling":                        "false",
		"root-ca-file":                     k.tls("server-ca.crt"),
		"secure-port":                      "10257",
		"service-account-private-key-file": k.tls("service.key"),
		"service-cluster-ip-range":         k.one("service-cidr", "10.43.0.0/16"),
		"use-service-account-credentials":  "true",
	}
	maps.Copy(own, signers)
	return arguments(k.flags["kube-controller-manager-arg"], own)
}

// waitForAPI returns once the API server is ready: k3s starts its controllers only then.
func (k *k3s) waitForAPI(ctx context.Context, made *leafs) error {
	client, err := made.client("client-admin")
	if err != nil {
		return err
	}
	url := "https://127.0.0.1:" + k.apiPort() + "/readyz"
	for ctx.Err() == nil {
		if answer, err := client.Get(url); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	return ctx.Err()
}

// arguments joins defaults and a user's `name=value` pairs, which win.
func arguments(extra []string, own map[string]string) []string {
	for _, pair := range extra {
		name, value, _ := strings.Cut(pair, "=")
		own[name] = value
	}
	// An authentication configuration that rules anonymous requests excludes the flag; k3s leaves it out then too.
	if own["authentication-config"] != "" {
		delete(own, "anonymous-auth")
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if own[name] != "" {
			words = append(words, "--"+name+"="+own[name])
		}
	}
	return words
}

func component(ctx context.Context, command *cobra.Command, arguments []string) error {
	command.SetArgs(arguments)
	return command.ExecuteContext(ctx)
}
