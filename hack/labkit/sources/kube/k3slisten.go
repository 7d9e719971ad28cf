package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/keyutil"
)

const (
	passwordFile   = "/etc/rancher/node/password"
	servingSecret  = "k3s-serving"
	passwordPeriod = 5 * time.Second
)

// nodePassword makes the node's password, without an agent, too: k3s asks its own server for an agent's configuration
// before it starts the API server, and asks for as long as that fails.
func nodePassword(ctx context.Context) error {
	for {
		err := ensurePassword()
		if err == nil {
			return nil
		}
		log.Printf("Waiting to retrieve agent configuration; server is not ready: %v", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(passwordPeriod):
		}
	}
}

func ensurePassword() error {
	if err := os.MkdirAll(filepath.Dir(passwordFile), 0o755); err != nil {
		return err
	}
	if _, err := os.ReadFile(passwordFile); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	password := make([]byte, 16)
	_, _ = rand.Read(password)
	return os.WriteFile(passwordFile, []byte(hex.EncodeToString(password)+"\n"), 0o600)
}

// supervisor is k3s's listener on the API's port. It serves the API by the API server's handler, under a certificate of
// its own that it shares with its siblings through a Secret in the cluster, and it closes as soon as a signal comes.
type supervisor struct {
	server      *k3s
	authority   tls.Certificate
	certificate atomic.Pointer[tls.Certificate]
	handler     atomic.Pointer[http.Handler]
}

func (k *k3s) listen(ctx context.Context, made *leafs) (*supervisor, error) {
	authority, err := tls.LoadX509KeyPair(made.certificate("server-ca"), made.key("server-ca"))
	if err != nil {
		return nil, err
	}
	front := &supervisor{server: k, authority: authority}
	certificate, err := front.issue(append(k.names(), ownNames()...))
	if err != nil {
		return nil, err
	}
	front.certificate.Store(certificate)
	config := &tls.Config{
		ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return front.certificate.Load(), nil },
	}
	address := net.JoinHostPort(k.one("bind-address", ""), strconv.Itoa(k.port()))
	listener, err := tls.Listen("tcp", address, config)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: front, ReadHeaderTimeout: time.Minute}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Fatalf("server stopped: %v", err)
		}
	}()
	context.AfterFunc(ctx, func() { _ = server.Shutdown(context.Background()) })
	return front, nil
}

func (s *supervisor) handle(handler http.Handler) { s.handler.Store(&handler) }

func (s *supervisor) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	if handler := s.handler.Load(); handler != nil {
		(*handler).ServeHTTP(writer, request)
		return
	}
	http.Error(writer, "starting", http.StatusServiceUnavailable)
}

// ownNames are those of this pod: each replica adds its own to the certificate that all of them serve.
func ownNames() []string {
	var names []string
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	addresses, _ := net.InterfaceAddrs()
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
			names = append(names, network.IP.String())
		}
	}
	return names
}

// share takes the certificate of the Secret if it has all names, and writes one with more names if it has not.
func (s *supervisor) share(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(s.server.folder("cred"), "admin.kubeconfig"))
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for {
		err := s.shareOnce(ctx, client)
		if err == nil || ctx.Err() != nil {
			return err
		}
		log.Printf("cannot share the serving certificate yet: %v", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func (s *supervisor) shareOnce(ctx context.Context, client kubernetes.Interface) error {
	secrets := client.CoreV1().Secrets(metav1.NamespaceSystem)
	found, err := secrets.Get(ctx, servingSecret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err := secrets.Create(ctx, secretOf(s.certificate.Load()), metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	shared, err := tls.X509KeyPair(found.Data[corev1.TLSCertKey], found.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return err
	}
	have, want := namesOf(shared.Leaf), namesOf(s.certificate.Load().Leaf)
	all := slices.Compact(slices.Sorted(slices.Values(append(have, want...))))
	if len(all) == len(have) && s.signed(shared.Leaf) {
		s.certificate.Store(&shared)
		return nil
	}
	merged, err := s.issue(all)
	if err != nil {
		return err
	}
	s.certificate.Store(merged)
	found.Data = secretOf(merged).Data
	_, err = secrets.Update(ctx, found, metav1.UpdateOptions{})
	return err
}

func (s *supervisor) signed(leaf *x509.Certificate) bool {
	return leaf.CheckSignatureFrom(s.authority.Leaf) == nil
}

func namesOf(certificate *x509.Certificate) []string {
	names := slices.Clone(certificate.DNSNames)
	for _, address := range certificate.IPAddresses {
		names = append(names, address.String())
	}
	slices.Sort(names)
	return names
}

func (s *supervisor) issue(names []string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := leafTemplate(subject("k3s", "k3s"), slices.Compact(slices.Sorted(slices.Values(names))))
	der, err := x509.CreateCertificate(rand.Reader, template, s.authority.Leaf, key.Public(), s.authority.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("serving certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der, s.authority.Certificate[0]}, PrivateKey: key, Leaf: leaf}, err
}

func secretOf(certificate *tls.Certificate) *corev1.Secret {
	key, err := keyutil.MarshalPrivateKeyToPEM(certificate.PrivateKey)
	if err != nil {
		log.Fatalf("serving key: %v", err) // made by issue, so of a known kind
	}
	chain := append(pemOf("CERTIFICATE", certificate.Certificate[0]), pemOf("CERTIFICATE", certificate.Certificate[1])...)
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: servingSecret, Namespace: metav1.NamespaceSystem},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{corev1.TLSCertKey: chain, corev1.TLSPrivateKeyKey: key},
	}
}
