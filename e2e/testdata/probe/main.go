// Command probe is an app that tests look at the platform with, from inside.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

func main() {
	var written atomic.Int64
	if rate, err := strconv.Atoi(os.Getenv("RATE")); err == nil {
		go flood(rate, &written)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "probe") })
	http.HandleFunc("/written", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, written.Load()) })
	http.HandleFunc("/address", func(w http.ResponseWriter, _ *http.Request) {
		addrs, err := net.InterfaceAddrs()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		for _, a := range addrs {
			if ip, _, err := net.ParseCIDR(a.String()); err == nil && ip.To4() != nil && !ip.IsLoopback() {
				fmt.Fprint(w, ip)
			}
		}
	})
	http.HandleFunc("/dial", func(w http.ResponseWriter, r *http.Request) {
		c, err := net.DialTimeout("tcp", r.URL.Query().Get("to"), 2*time.Second)
		if err != nil {
			fmt.Fprint(w, err)
			return
		}
		fmt.Fprint(w, "open")
		_ = c.Close()
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}

// flood writes lines of 100 bytes with their number, so many bytes a second.
func flood(rate int, written *atomic.Int64) {
	began := time.Now()
	for range time.Tick(10 * time.Millisecond) {
		for float64(written.Load()*100) < time.Since(began).Seconds()*float64(rate) {
			fmt.Printf("line %08d %085d\n", written.Load()+1, 0)
			written.Add(1)
		}
	}
}
