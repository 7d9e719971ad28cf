package main

import (
	"context"
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
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	logsapi "k8s.io/component-base/logs/api/v1"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

// k3s is a test double of `k3s server`: it takes the command line and the file layout that vcp uses and runs the same
// upstream components in one process, with the defaults that k3s gives them. It is not k3s: no agent, no datastore of
// its own, no packaged components, no supervisor API.
type k3s struct {
	flags map[string][]string
	data  string
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

func runK3s(arguments []string) error {
	log.SetFlags(0)
	log.Print("k3s stand-in: a test double made of upstream components, not k3s")
	server, err := parseK3s(arguments)
	if err != nil {
		return err
	}
	leafs, err := server.prepare()
	if err != nil {
		return err
	}
	// Two components in one process configure logging twice; k3s allows it in the same way.
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ended := make(chan error, 2)
	go func() { ended <- component(ctx, apiserver.NewAPIServerCommand(), server.apiserver(leafs)) }()
	go func() {
		if err := server.waitForAPI(ctx, leafs); err != nil {
			ended <- err
			return
		}
		ended <- component(ctx, controllermanager.NewControllerManagerCommand(), server.controllerManager(leafs))
	}()
	err = <-ended
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
	for _, name := range []string{"datastore-cafile", "datastore-certfile", "datastore-keyfile", "token-file"} {
		if path := server.one(name, ""); path != "" {
			if _, err := os.Stat(path); err != nil {
				return nil, fmt.Errorf("--%s: %w", name, err)
			}
		}
	}
	return server, nil
}

func (k *k3s) one(name, otherwise string) string {
	if values := k.flags[name]; values != nil {
		return values[0]
	}
	return otherwise
}

func (k *k3s) tls(name string) string { return filepath.Join(k.data, "server", "tls", name) }

func (k *k3s) port() string { return k.one("https-listen-port", "6443") }

// prepare reads the CAs, issues the leafs that k3s would, and writes the kubeconfigs.
func (k *k3s) prepare() (*leafs, error) {
	made, err := issueLeafs(filepath.Join(k.data, "server", "tls"), k.names())
	if err != nil {
		return nil, err
	}
	credentials := filepath.Join(k.data, "server", "cred")
	if err := os.MkdirAll(credentials, 0o700); err != nil {
		return nil, err
	}
	server := "https://127.0.0.1:" + k.port()
	paths := map[string]string{
		filepath.Join(credentials, "admin.kubeconfig"):      "client-admin",
		filepath.Join(credentials, "controller.kubeconfig"): "client-controller",
	}
	if path := k.one("write-kubeconfig", ""); path != "" {
		paths[path] = "client-admin"
	}
	for path, client := range paths {
		if err := made.writeKubeconfig(path, server, client); err != nil {
			return nil, err
		}
	}
	return made, nil
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
		"bind-address":                       k.one("bind-address", "0.0.0.0"),
		"cert-dir":                           k.tls("temporary-certs"),
		"client-ca-file":                     k.tls("client-ca.crt"),
		"enable-admission-plugins":           "NodeRestriction",
		"enable-aggregator-routing":          "true",
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
		"secure-port":                        k.port(),
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
	url := "https://127.0.0.1:" + k.port() + "/readyz"
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
