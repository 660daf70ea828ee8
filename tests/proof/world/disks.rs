//! Disks and what runs on them: power, kubelet's start with the guard before it, folders that are emptied, swapped, copied and
//! come back.

use super::{AGAIN, Birth, Cluster, Data, FIRST, Manifest, Marker, Mem, Slot, Stage, World};

impl World {
    /// The machine has power again: the guard looks at marker and folder, then kubelet starts what there is.
    pub fn boot(&mut self, slot: Slot) {
        let guarded = self.guarded;
        let machine = self.machine_mut(slot);
        let disk = machine.disk;
        // A member without its data or with another one's, or state of another machine.
        // What was set aside goes back with this machine's own data, unless it began to join anew.
        let aside = machine.aside;
        let refused = |marker: Marker| match marker.stage {
            _ if marker.owner != slot => true,
            Stage::Member => disk.data.is_none_or(|data| marker.member.is_some_and(|own| own != data.member)),
            Stage::Initializing | Stage::Joining => aside,
        };
        machine.aside = guarded && disk.manifest.is_some() && disk.marker.is_some_and(refused);
        (machine.off, machine.kubelet) = (false, true);
        let (addr, aside) = (machine.addr, machine.aside);
        let Some(Manifest::Init(claim, at)) = disk.manifest else { return };
        if aside || disk.data.is_some() || at != addr {
            return;
        }
        // An init's manifest makes an etcd of the same IDs, which knows itself alone and has no key.
        let member = FIRST + at;
        let mem = Mem { id: member, slot, addr, learner: false, started: true };
        let birth = self.born(Cluster { claim, at, key: false, uid: claim, writes: 0, mems: vec![mem] });
        self.machine_mut(slot).disk.data = Some(Data { birth, claim, at, member });
    }

    /// Whether data of this etcd lies on any disk or volume.
    pub fn lies_anywhere(&self, birth: Birth) -> bool {
        let has = |data: Option<Data>| data.is_some_and(|data| data.birth == birth);
        self.machines.iter().any(|machine| has(machine.disk.data) || has(machine.volume))
    }

    fn born(&mut self, cluster: Cluster) -> Birth {
        let free = (AGAIN..=Birth::MAX).find(|birth| !self.clusters.contains_key(birth));
        let birth = free.expect("few etcds begin anew");
        self.clusters.insert(birth, cluster);
        birth
    }

    /// The machine is without power for as long as `change` takes.
    pub fn without_power(&mut self, slot: Slot, change: impl FnOnce(&mut Self)) {
        let was_off = self.machine(slot).off;
        self.power_off(slot);
        change(self);
        if !was_off {
            self.boot(slot);
        }
    }

    pub fn lose(&mut self, slot: Slot, kept: bool) {
        self.without_power(slot, |world| {
            let machine = world.machine_mut(slot);
            let data = machine.disk.data.take();
            machine.volume = if kept { data } else { None };
        });
    }

    pub fn mount(&mut self, slot: Slot) {
        self.without_power(slot, |world| {
            let machine = world.machine_mut(slot);
            machine.disk.data = machine.volume.take();
        });
    }

    pub fn swap_data(&mut self, one: Slot, other: Slot) {
        self.slipped = true;
        let (first, second) = (self.machine(one).disk.data, self.machine(other).disk.data);
        self.without_power(one, |world| {
            world.without_power(other, |world| {
                world.machine_mut(one).disk.data = second;
                world.machine_mut(other).disk.data = first;
            });
        });
    }

    pub fn copy_data(&mut self, from: Slot, to: Slot) {
        self.slipped = true;
        let Some(mut data) = self.machine(from).disk.data else { return };
        // A copy of a member that is alone can go on by itself, and what it commits then is its own.
        if let Some(cluster) = self.clusters.get(&data.birth).filter(|cluster| cluster.mems.len() == 1).cloned() {
            data.birth = self.born(cluster);
        }
        self.without_power(to, |world| world.machine_mut(to).disk.data = Some(data));
    }

    /// Whether nature may put such a copy there: never where its member belongs, for no program can tell yesterday's copy of a
    /// whole cluster from that cluster.
    pub fn may_copy(&self, from: Slot, to: Slot) -> bool {
        let addr = self.machine(to).addr;
        self.machine(from).disk.data.is_some_and(|data| {
            let members = self.members(data.birth);
            members.iter().find(|mem| mem.id == data.member).is_some_and(|mem| mem.addr != addr)
        })
    }

    /// Whether the two hold different data, and no copy of a whole cluster comes to where its member belongs.
    pub fn may_swap(&self, one: Slot, other: Slot) -> bool {
        let (first, second) = (self.machine(one), self.machine(other));
        let homes = |data: Option<Data>, addr: u8| {
            let copy = data.filter(|data| data.birth >= AGAIN).and_then(|data| self.clusters.get(&data.birth));
            copy.is_some_and(|cluster| cluster.key && cluster.mems.iter().any(|mem| mem.addr == addr))
        };
        first.disk.data != second.disk.data
            && !homes(first.disk.data, second.addr)
            && !homes(second.disk.data, first.addr)
    }

    /// An etcd that began anew beside a quorum of the others is caught up by them; what nobody has any more is forgotten.
    pub fn catch_up(&mut self) {
        if self.clusters.keys().next_back().is_none_or(|birth| *birth < AGAIN) {
            return;
        }
        for slot in self.slots() {
            let Some(data) = self.machine(slot).runs().filter(|data| data.birth >= AGAIN) else { continue };
            let known =
                self.members(data.claim).iter().any(|mem| (mem.id, mem.addr) == (data.member, self.machine(slot).addr));
            if known && self.has_quorum(data.claim) {
                self.machine_mut(slot).disk.data = Some(Data { birth: data.claim, ..data });
            }
        }
        let stays = |birth: &Birth| *birth < AGAIN || self.lies_anywhere(*birth);
        let kept: Vec<Birth> = self.clusters.keys().copied().filter(stays).collect();
        self.clusters.retain(|birth, _| kept.contains(birth));
    }

    /// Whether the data on this disk runs elsewhere, where its member belongs.
    pub fn has_twin(&self, slot: Slot) -> bool {
        self.machine(slot).disk.data.is_some_and(|data| {
            let mems = self.members(data.claim).iter();
            let mut mems = mems.filter(|mem| mem.id == data.member);
            mems.any(|mem| self.server(data.claim, mem).is_some_and(|server| server != slot))
        })
    }
}
