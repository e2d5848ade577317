// Whether Kubernetes 1.26 knows every kind and field of manifests: each object is decoded strictly into the types of that version.
//
//	peer FILE...
//
// Each fault is a line on standard output; the last line counts what was looked at.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

func main() {
	options := json.SerializerOptions{Yaml: true, Strict: true}
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, options)
	looked, faults := 0, 0
	for _, path := range os.Args[1:] {
		text, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
		for {
			document, err := documents.Read()
			if err != nil {
				break
			}
			if empty(document) {
				continue
			}
			looked++
			_, kind, err := decoder.Decode(document, nil, nil)
			// Kinds of others, which are looked at elsewhere.
			if err != nil && kind != nil && (kind.Group == "monitoring.coreos.com" || kind.Group == "karpenter.sh") {
				continue
			}
			if err != nil {
				faults++
				fmt.Printf("%s: %v: %v\n", filepath.Base(path), kind, err)
			}
		}
	}
	fmt.Printf("%d objects, %d faults\n", looked, faults)
	if faults > 0 {
		os.Exit(1)
	}
}

func empty(document []byte) bool {
	for _, line := range strings.Split(string(document), "\n") {
		line = strings.TrimSpace(line)
		if line != "" && line != "---" && !strings.HasPrefix(line, "#") {
			return false
		}
	}
	return true
}
