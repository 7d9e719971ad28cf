package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// leafs are the certificates that k3s makes from the CAs in its data directory, under the names that k3s gives them.
type leafs struct{ folder string }

func (l *leafs) certificate(name string) string { return filepath.Join(l.folder, name+".crt") }
func (l *leafs) key(name string) string         { return filepath.Join(l.folder, name+".key") }

func issueLeafs(folder string, servingNames []string) (*leafs, error) {
	authorities := map[string]*tls.Certificate{}
	for _, name := range []string{"server-ca", "client-ca", "request-header-ca"} {
		pair, err := tls.LoadX509KeyPair(filepath.Join(folder, name+".crt"), filepath.Join(folder, name+".key"))
		if err != nil {
			return nil, fmt.Errorf("custom CA %s: %w", name, err)
		}
		authorities[name] = &pair
	}
	if _, err := os.Stat(filepath.Join(folder, "service.key")); err != nil {
		return nil, fmt.Errorf("service-account key: %w", err)
	}
	made := &leafs{folder: folder}
	for _, leaf := range []struct {
		name, authority string
		subject         pkix.Name
		serving         []string
	}{
		{"serving-kube-apiserver", "server-ca", pkix.Name{CommonName: "kube-apiserver"}, servingNames},
		{"client-admin", "client-ca", subject("system:admin", "system:masters"), nil},
		{"client-controller", "client-ca", subject("system:kube-controller-manager"), nil},
		{"client-kube-apiserver", "client-ca", subject("system:apiserver", "system:masters"), nil},
		{"client-auth-proxy", "request-header-ca", subject("system:auth-proxy"), nil},
	} {
		if err := made.issue(leaf.name, authorities[leaf.authority], leaf.subject, leaf.serving); err != nil {
			return nil, fmt.Errorf("leaf %s: %w", leaf.name, err)
		}
	}
	return made, nil
}

// authority makes a certificate authority of its own, unless there is one.
func (l *leafs) authority(name string) error {
	if _, err := os.Stat(l.certificate(name)); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(l.certificate(name)), 0o700); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: subject("k3s-" + filepath.Base(name)),
		NotBefore: now, NotAfter: now.AddDate(10, 0, 0), KeyUsage: x509.KeyUsageCertSign, IsCA: true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(writePEM(l.key(name), "PRIVATE KEY", encoded), writePEM(l.certificate(name), "CERTIFICATE", der))
}

func subject(user string, groups ...string) pkix.Name {
	return pkix.Name{CommonName: user, Organization: groups}
}

// leafTemplate is a client's certificate, or a server's if it has names.
func leafTemplate(subject pkix.Name, serving []string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: subject, NotBefore: now.Add(-5 * time.Minute), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if serving != nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, name := range serving {
		if address := net.ParseIP(name); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return template
}

func (l *leafs) issue(name string, authority *tls.Certificate, subject pkix.Name, serving []string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := leafTemplate(subject, serving)
	issuer, err := x509.ParseCertificate(authority.Certificate[0])
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), authority.PrivateKey)
	if err != nil {
		return err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(l.key(name), "PRIVATE KEY", encoded); err != nil {
		return err
	}
	return writePEM(l.certificate(name), "CERTIFICATE", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pemOf(kind, der), 0o600)
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (l *leafs) writeKubeconfig(path, server, client string) error {
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: local, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: user, user: {client-certificate: %q, client-key: %q}}]
contexts: [{name: Default, context: {cluster: local, user: user}}]
current-context: Default
`, server, l.certificate("server-ca"), l.certificate(client), l.key(client))
	return os.WriteFile(path, []byte(text), 0o600)
}

// client is an HTTPS client with one of the leafs.
func (l *leafs) client(name string) (*http.Client, error) {
	pair, err := tls.LoadX509KeyPair(l.certificate(name), l.key(name))
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(l.certificate("server-ca"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	config := &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots}
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: config}}, nil
}
