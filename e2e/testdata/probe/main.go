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
	if len(os.Args) > 1 {
		step(os.Args[1])
		return
	}
	var written atomic.Int64
	if rate, err := strconv.Atoi(os.Getenv("RATE")); err == nil {
		go flood(rate, &written)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "probe") })
	http.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, os.Getenv(r.FormValue("name"))) })
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

// step is what a build runs: it fills the disk, talks without end, or lingers.
func step(what string) {
	switch what {
	case "fill":
		f, err := os.Create("/film")
		for part := make([]byte, 64<<10); err == nil; {
			_, err = f.Write(part)
		}
		log.Fatal(err)
	case "shout":
		for n := range 20_000 {
			fmt.Printf("shout %07d %085d\n", n, 0)
		}
	case "linger":
		fmt.Println("lingering")
		time.Sleep(time.Minute)
	}
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
