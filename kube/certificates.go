package kube

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// The objects in which rainbond-operator keeps the region's address and
// certificates (controllers/handler/api.go).
const (
	regionConfig  = "region-config"
	clientSecret  = "rbd-api-client-cert"
	serverSecret  = "rbd-api-server-cert"
	addressKey    = "apiAddress"
	caKey         = "ca.pem"
	clientKey     = "client.pem"
	clientKeyKey  = "client.key.pem"
	serverKey     = "server.pem"
	serverKeyKey  = "server.key.pem"
	pemBegin      = "-----BEGIN "
	kindConfigMap = "ConfigMap"
	kindSecret    = "Secret"
)

// An object is what is read of a ConfigMap or Secret.
type object struct {
	kind, name, namespace string
	values                map[string][]byte
	addresses             string // the label availableips
	missing               bool   // there is no such object
}

// get returns the value of key. The error that there is none is a finding.
func (o object) get(key string) ([]byte, error) {
	if o.missing {
		return nil, fmt.Errorf("%s %s does not exist in namespace %s", o.kind, o.name, o.namespace)
	}
	value, ok := o.values[key]
	if !ok {
		return nil, fmt.Errorf("%s %s in namespace %s has no key %s", o.kind, o.name, o.namespace, key)
	}
	return value, nil
}

// copy returns the certificate under key, and the private key under keyKey.
func (o object) copy(place fault.Place, kind fault.Kind, key, keyKey string) fault.Copy {
	c := fault.Copy{Place: place, Kind: kind, Addresses: o.addresses}
	c.PEM, c.Err = o.get(key)
	c.Key = o.values[keyKey]
	return c
}

// Certificates returns the cluster's copies of the certificates, from ConfigMap
// region-config and the two Secrets. An object or key that does not exist is a
// finding: a Copy with Err. When the API server refuses, or does not answer within
// a quarter of the time that ctx has left, it returns an error and the copies
// that could be read. In a namespace without Rainbond it returns a
// NotInstalledError.
func (k *Client) Certificates(ctx context.Context) ([]fault.Copy, error) {
	ctx, cancel := share(ctx, timeShare)
	defer cancel()
	copies, err := k.copies(ctx)
	if err == nil {
		err = k.notInstalled(ctx, copies)
	}
	if errors.As(err, new(*NotInstalledError)) {
		return nil, err
	}
	return copies, err
}

func (k *Client) copies(ctx context.Context) ([]fault.Copy, error) {
	config, errConfig := k.configMap(ctx)
	client, errClient := k.secret(ctx, clientSecret)
	server, errServer := k.secret(ctx, serverSecret)
	var copies []fault.Copy
	if errConfig == nil {
		copies = append(copies, config.copy(fault.RegionConfig, fault.CA, caKey, ""), config.copy(fault.RegionConfig, fault.Client, clientKey, clientKeyKey))
	}
	if errClient == nil {
		copies = append(copies, client.copy(fault.ClientSecret, fault.CA, caKey, ""), client.copy(fault.ClientSecret, fault.Client, clientKey, clientKeyKey))
	}
	if errServer == nil {
		copies = append(copies, server.copy(fault.ServerSecret, fault.CA, caKey, ""), server.copy(fault.ServerSecret, fault.Server, serverKey, serverKeyKey))
	}
	return copies, errors.Join(errConfig, errClient, errServer)
}

// timeShare is the part of the caller's time that the objects may take: a
// quarter. With the default of 8 s for a collector, 6 s are left for the probe,
// which needs 5 s to connect and 1 s for the answer.
const timeShare = 4

// Region returns the region that ConfigMap region-config describes, with the
// given name. Missing keys are a finding in Err. When the API server fails, or
// does not answer within a quarter of the time that ctx has left, Region returns
// the last known region and an error. A region that has never been read has only
// its name. In a namespace without Rainbond, the error is a NotInstalledError.
func (k *Client) Region(ctx context.Context, name string) (fault.Region, error) {
	ctx, cancel := share(ctx, timeShare)
	defer cancel()
	r, err := k.region(ctx, name)
	k.known.mu.Lock()
	defer k.known.mu.Unlock()
	if err == nil {
		k.known.region, k.known.regionAt = r, time.Now()
		return r, nil
	}
	if k.known.regionAt.IsZero() || k.known.region.Name != name {
		return r, err
	}
	return k.known.region, fmt.Errorf("%w; using ConfigMap %s as read at %s", err, regionConfig, k.known.regionAt.Format(time.RFC3339))
}

func (k *Client) region(ctx context.Context, name string) (fault.Region, error) {
	r := fault.Region{Name: name, Place: fault.RegionConfig}
	config, err := k.configMap(ctx)
	if err != nil {
		return r, err
	}
	if config.missing {
		_, r.Err = config.get(addressKey)
		return r, k.Installed(ctx)
	}
	var errs []error
	get := func(key string) []byte {
		value, err := config.get(key)
		errs = append(errs, err)
		return value
	}
	r.URL = string(bytes.TrimSpace(get(addressKey)))
	r.CA, r.Cert, r.Key = get(caKey), get(clientKey), get(clientKeyKey)
	r.Err = errors.Join(errs...)
	return r, nil
}

func (k *Client) configMap(ctx context.Context) (object, error) {
	o := object{kind: kindConfigMap, name: regionConfig, namespace: k.namespace, values: map[string][]byte{}}
	var found corev1.ConfigMap
	if err := k.api.configMaps(k.namespace).Get(ctx, regionConfig, &found); err != nil {
		return k.unread(o, "configmaps", err)
	}
	for key, value := range found.Data {
		o.values[key] = decodeBase64PEM([]byte(value))
	}
	for key, value := range found.BinaryData { // where the operator puts them
		o.values[key] = value
	}
	return o, nil
}

func (k *Client) secret(ctx context.Context, name string) (object, error) {
	o := object{kind: kindSecret, name: name, namespace: k.namespace}
	var found corev1.Secret
	if err := k.api.secrets(k.namespace).Get(ctx, name, &found); err != nil {
		return k.unread(o, "secrets", err)
	}
	o.values, o.addresses = found.Data, found.Labels[labelAddresses]
	return o, nil
}

// unread distinguishes an object that does not exist, which is a finding, from
// one that cannot be read.
func (k *Client) unread(o object, resource string, err error) (object, error) {
	if apierrors.IsNotFound(err) {
		o.missing = true
		return o, nil
	}
	return o, explain(k.host, "get "+o.kind+" "+o.name, fmt.Sprintf("get on %s %s in namespace %s", resource, o.name, o.namespace), err)
}

// decodeBase64PEM removes base64 around PEM. kubectl shows the values of
// binaryData in base64, and people paste them into data.
func decodeBase64PEM(value []byte) []byte {
	if bytes.Contains(value, []byte(pemBegin)) {
		return value
	}
	encoded := bytes.Join(bytes.Fields(value), nil)
	decoded, err := base64.StdEncoding.AppendDecode(nil, encoded)
	if err != nil || !bytes.Contains(decoded, []byte(pemBegin)) {
		return value
	}
	return decoded
}
