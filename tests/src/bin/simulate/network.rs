//! What lies between gates and the guard, and what goes wrong there and with them.

use shared::lease::Asked;
use shared::message::Report;

use crate::event::{Answer, Call, Event};
use crate::load::SECOND;
use crate::oracle::Micros;
use crate::world::{UnderWay, World};

/// How long a restart of the guard takes.
const DOWN: Micros = SECOND / 2;
/// After how long a gate is told that a call of its was lost.
const TOLD_AFTER: Micros = SECOND;

impl World {
    /// A gate asks the guard about a key. `request` waits for the answer; a renewal has none that does.
    pub(crate) fn ask(&mut self, location: usize, key: usize, need: u32, request: Option<u64>) {
        let now = self.clock(location);
        let (asked, report) = self.gates[location].ask(key, need, request.is_some(), now);
        self.send(location, Some((key, asked)), request, report);
    }

    /// A gate calls the guard.
    pub(crate) fn send(
        &mut self,
        location: usize,
        asked: Option<(usize, Asked)>,
        request: Option<u64>,
        report: Option<Report>,
    ) {
        self.counts.calls += u64::from(self.measured());
        let gate = self.gates[location].id;
        let id = self.next_id();
        let under_way = UnderWay {
            gate,
            location,
            asked: asked.clone(),
            request,
            reports: report.is_some(),
            arrived: false,
        };
        self.under_way.insert(id, under_way);
        let call = Call {
            gate,
            location,
            ask: asked.map(|(key, asked)| (key, asked.ask)),
            report,
        };
        if self.load.chance(self.scenario.faults.lost) {
            return self.agenda.put(self.now + TOLD_AFTER, Event::Fail(id));
        }
        let way = self.load.way(location);
        if self.load.chance(self.scenario.faults.repeated) {
            let call = call.clone();
            self.agenda
                .put(self.now + 2 * way, Event::Call { call, id });
        }
        self.agenda.put(self.now + way, Event::Call { call, id });
    }

    pub(crate) fn at_guard(&mut self, call: &Call, id: u64) {
        let way = self.load.way(call.location);
        if !self.guard_up {
            return self.agenda.put(self.now + way, Event::Fail(id));
        }
        let now = self.guard_clock();
        let ask = call.ask.as_ref().map(|(key, ask)| (*key, ask));
        let (key, acknowledged) = self.guard.call(call.gate, ask, call.report.as_ref(), now);
        if let Some(under_way) = self.under_way.get_mut(&id) {
            under_way.arrived = true;
        }
        if self.load.chance(self.scenario.faults.lost) {
            return self.agenda.put(self.now + TOLD_AFTER, Event::Fail(id));
        }
        let answer = Answer {
            key,
            acknowledged,
            decided_at: self.now,
        };
        let event = Event::Answer { call: id, answer };
        self.agenda.put(self.now + way, event);
    }

    /// An answer reaches its gate; `None`: the gate is told that the call failed.
    pub(crate) fn answered(&mut self, call: u64, answer: Option<Answer>) {
        let Some(call) = self.under_way.remove(&call) else {
            return;
        };
        let now = self.clock(call.location);
        let gate = &mut self.gates[call.location];
        gate.reported(call.reports, answer.as_ref().and_then(|a| a.acknowledged));
        let Some((key, asked)) = call.asked else {
            return;
        };
        let mut waiting = call.request.and_then(|id| self.waiting.get_mut(&id));
        if let (Some(waiting), Some(answer)) = (&mut waiting, &answer) {
            waiting.decided_at = answer.decided_at;
        }
        let request = waiting.map(|waiting| &mut waiting.request);
        gate.take_in(key, &asked, answer.and_then(|a| a.key), request, now);
        self.after_call(call.location, call.request, key);
    }

    pub(crate) fn schedule_death(&mut self, location: usize) {
        if let Some(life) = self.scenario.faults.isolate_life_s {
            let at = self.now + self.load.span(life);
            self.agenda.put(at, Event::Dies(location));
        }
    }

    /// An isolate dies with its memory and its requests; another starts in its place.
    pub(crate) fn die(&mut self, location: usize) {
        let old = self.gates[location].id;
        self.places.remove(&old);
        let waiting = &mut self.waiting;
        self.under_way.retain(|_, call| {
            if let Some(request) = call.request.filter(|_| call.gate == old) {
                waiting.remove(&request);
            }
            call.gate != old
        });
        self.gates[location] = self.new_gate(location);
        self.schedule_death(location);
    }

    pub(crate) fn schedule_restart(&mut self) {
        if let Some(every) = self.scenario.faults.guard_restarts_s {
            let at = self.now + self.load.span(every);
            self.agenda.put(at, Event::GuardDown);
        }
    }

    /// The guard stops, and starts from what it kept. Calls that it has and has not been heard to answer fail.
    pub(crate) fn guard_down(&mut self) {
        self.guard_up = false;
        self.guard.restart();
        let broken = self.under_way.iter().filter(|(_, call)| call.arrived);
        let broken: Vec<(u64, usize)> = broken.map(|(id, call)| (*id, call.location)).collect();
        for (call, location) in broken {
            let at = self.now + self.load.way(location);
            self.agenda.put(at, Event::Fail(call));
        }
        self.agenda.put(self.now + DOWN, Event::GuardUp);
        self.schedule_restart();
    }
}
