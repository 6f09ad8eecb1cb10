package store

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"naru/internal/app"
	"naru/internal/pipeline/operation"
)

// Topic names something that may change. A topic that ends in "/" stands for
// all that begin with it.
type Topic string

// The topics.
const (
	Routes     Topic = "routes"     // the routes, or what stands behind one
	Events     Topic = "events"     // an event was appended
	Apps       Topic = "app/"       // any app and what belongs to it
	Operations Topic = "operation/" // any operation
)

// AppTopic is the app: its draft, releases, groups, instances, rollouts, tasks.
func AppTopic(a app.ID) Topic { return Apps + Topic(a) }

// OperationTopic is the operation: its state and its progress.
func OperationTopic(op operation.ID) Topic { return Operations + Topic(op) }

// wakeups tells those who wait what was committed.
type wakeups struct {
	mu   sync.Mutex // guards subs and every subscription's fields but C
	subs map[*Subscription]bool
}

// Subscription wakes up whoever waits for changes.
//
// It coalesces: C holds at most one wake-up, however many commits there were
// since the last one, and Take tells what they touched. A wake-up follows its
// commit, so a read after it sees the change. It reaches only this process and
// only while it lives: who must miss nothing reads once after subscribing, and
// again from time to time.
type Subscription struct {
	C <-chan struct{}

	c      chan struct{}
	topics []Topic
	taken  map[Topic]bool
	from   *wakeups
}

// Listen starts a subscription to topics; Close ends it.
func (s *Store) Listen(topics ...Topic) *Subscription {
	c := make(chan struct{}, 1)
	sub := &Subscription{C: c, c: c, topics: topics, taken: map[Topic]bool{}, from: &s.wake}
	s.wake.mu.Lock()
	defer s.wake.mu.Unlock()
	if s.wake.subs == nil {
		s.wake.subs = map[*Subscription]bool{}
	}
	s.wake.subs[sub] = true
	return sub
}

// Take returns the topics touched since the last Take, sorted.
func (sub *Subscription) Take() []Topic {
	sub.from.mu.Lock()
	defer sub.from.mu.Unlock()
	topics := slices.Sorted(maps.Keys(sub.taken))
	clear(sub.taken)
	return topics
}

// Close ends the subscription. C is not closed.
func (sub *Subscription) Close() {
	sub.from.mu.Lock()
	defer sub.from.mu.Unlock()
	delete(sub.from.subs, sub)
}

// WatchApp returns a channel that gets a value after something of an app was
// committed, and a function that ends that.
func (s *Store) WatchApp(a app.ID) (changed <-chan struct{}, stop func()) {
	sub := s.Listen(AppTopic(a))
	return sub.C, sub.Close
}

// Subscribe returns a channel that gets an app whenever something of it was
// committed, and a function that ends that. Slow readers miss nothing but see
// several changes as one.
func (s *Store) Subscribe() (apps <-chan app.ID, stop func()) {
	sub := s.Listen(Apps)
	out, done := make(chan app.ID), make(chan struct{})
	var pump sync.WaitGroup
	pump.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-sub.C:
			}
			for _, topic := range sub.Take() {
				select {
				case <-done:
					return
				case out <- app.ID(strings.TrimPrefix(string(topic), string(Apps))):
				}
			}
		}
	})
	var once sync.Once
	return out, func() {
		once.Do(func() { sub.Close(); close(done) })
		pump.Wait()
	}
}

func (w *wakeups) send(touched map[Topic]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for sub := range w.subs {
		hit := false
		for topic := range touched {
			if sub.wants(topic) {
				sub.taken[topic], hit = true, true
			}
		}
		if !hit {
			continue
		}
		select {
		case sub.c <- struct{}{}:
		default: // a wake-up is already waiting
		}
	}
}

func (sub *Subscription) wants(topic Topic) bool {
	return slices.ContainsFunc(sub.topics, func(t Topic) bool {
		return t == topic || strings.HasSuffix(string(t), "/") && strings.HasPrefix(string(topic), string(t))
	})
}
