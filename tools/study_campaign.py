#!/usr/bin/env python3
"""Disturbs studies of the embedded model in every way a cluster does, and compares the results byte for byte with an
undisturbed one.

    tools/study_campaign.py [--lvo PROGRAM] [--rounds N] [--json FILE]

kill       every stage alone: kill -9 at random moments until it gets through, N rounds
signal     every stage alone: SIGTERM, SIGINT, SIGUSR1 at random moments: exit 75, then the same command continues
processes  three processes on one folder
shards     every stage split into 1, 2, 3 and 7
disk       a file system that is too small: exit 73, finished units intact; then made larger (needs root, for a tmpfs)
damage     one flipped bit in a file of every stage: found and redone
"""
import argparse
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SETTINGS = ["prompt_limit=10", "capture.images_per_prompt=1", "capture.steps=4", "choose.features=718,742,439",
            "choose.channels=3", "prior.steps=4", "prior.seeds=[1,2]", "dream.seeds=[1,2]", "dream.timesteps=[301]",
            "dream_features.steps=12", "dream_channels.steps=12"]
STAGES = {"capture": "capture", "analyze": "analysis", "prior": "prior", "dream": "dream", "measure": "measure"}


class Campaign:
    def __init__(self, lvo, root):
        self.lvo, self.root, self.number = lvo, pathlib.Path(root), 0

    def study(self, parent=None):
        self.number += 1
        folder = pathlib.Path(parent or self.root) / f"study-{self.number}"
        arguments = [part for setting in SETTINGS for part in ("--set", setting)]
        subprocess.run([self.lvo, "study", "init", folder, *arguments], check=True, stdout=subprocess.DEVNULL)
        return folder

    def start(self, command, folder, *arguments):
        return subprocess.Popen([self.lvo, "study", command, folder, *arguments], stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)

    def run(self, command, folder, *arguments):
        process = self.start(command, folder, *arguments)
        errors = process.communicate()[1]
        return process.returncode, errors

    @staticmethod
    def results(folder):
        """Checksum of every file of every stage, and whether leftovers lie between them."""
        files = [path for stage in STAGES.values() for path in (folder / stage).rglob("*") if path.is_file()]
        assert not [path for path in files if ".tmp" in str(path)], "leftovers"
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def whole(self):
        folder = self.study()
        start = time.time()
        code, errors = self.run("run", folder)
        assert code == 0, errors
        self.seconds, self.expected, self.complete = time.time() - start, self.results(folder), folder
        return {"files": len(self.expected), "seconds": round(self.seconds, 1)}

    def same(self, folder):
        found = self.results(folder)
        assert found == self.expected, sorted(set(found.items()) ^ set(self.expected.items()))[:4]

    def before(self, stage):
        """A study in which everything before the stage is done."""
        self.number += 1
        folder = self.root / f"study-{self.number}"
        skipped = list(STAGES.values())[list(STAGES).index(stage):] + ["report", "log", "claims"]
        shutil.copytree(self.complete, folder, ignore=lambda path, names: skipped if path == str(self.complete) else [])
        return folder

    def disturb(self, stage, send):
        """Runs the stage, disturbed at random moments, until it gets through; returns the codes of what was disturbed."""
        folder, codes = self.before(stage), []
        start = time.time()
        assert self.run(stage, self.before(stage))[0] == 0
        seconds = time.time() - start
        while True:
            process = self.start(stage, folder)
            try:
                process.wait(random.uniform(0.05, seconds) if len(codes) < 12 else None)
            except subprocess.TimeoutExpired:
                send(process, len(codes))
            process.communicate()
            if process.returncode == 0:
                break
            codes.append(process.returncode)
        code, errors = self.run("run", folder)
        assert code == 0, errors
        self.same(folder)
        return codes

    def kill(self, rounds):
        kills = dict.fromkeys(STAGES, 0)
        for stage in STAGES:
            for _ in range(rounds):
                codes = self.disturb(stage, lambda process, number: process.kill())
                assert set(codes) <= {-9}, codes
                kills[stage] += len(codes)
        return {"rounds": rounds, "kills": kills}

    def signal(self, rounds):
        stopped, numbers = dict.fromkeys(STAGES, 0), (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
        for stage in STAGES:
            for _ in range(rounds):
                codes = self.disturb(stage, lambda process, number: process.send_signal(numbers[number % 3]))
                # Before the program has begun to listen, a signal ends it the usual way.
                assert set(codes) <= {75} | {-number for number in numbers}, codes
                stopped[stage] += codes.count(75)
        return {"rounds": rounds, "ended with 75": stopped}

    def processes(self):
        folder = self.study()
        running = [self.start("run", folder, "--threads", "1") for _ in range(3)]
        codes = [(process.communicate(), process.returncode)[1] for process in running]
        assert codes == [0, 0, 0], codes
        self.same(folder)
        units = {}
        for log in (folder / "log").glob("*.ndjson"):
            for line in log.read_text().splitlines():
                entry = json.loads(line)
                units[entry["stage"], entry["unit"]] = units.get((entry["stage"], entry["unit"]), 0) + 1
        return {"codes": codes, "units": len(units), "done twice": sum(count > 1 for count in units.values())}

    def shards(self):
        for count in (1, 2, 3, 7):
            folder = self.study()
            for stage in STAGES:
                order = list(range(count))
                random.shuffle(order)
                for index in order:
                    code, errors = self.run(stage, folder, "--shard", f"{index}/{count}")
                    assert code == 0, errors
            self.same(folder)
        return {"splits": [1, 2, 3, 7]}

    def disk(self):
        mount = self.root / "small"
        mount.mkdir()
        size, codes = 150, []
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", mount], check=True)
        try:
            folder = self.study(mount)
            while True:
                code, errors = self.run("run", folder)
                codes.append(code)
                if code == 0:
                    break
                assert code == 73 and "No space left" in errors, (code, errors)
                size = int(size * 1.6)
                subprocess.run(["mount", "-o", f"remount,size={size}k", mount], check=True)
            self.same(folder)
        finally:
            subprocess.run(["umount", "-l", mount], check=True)
        return {"codes": codes}

    def damage(self):
        folder = self.study()
        assert self.run("run", folder)[0] == 0
        for stage in STAGES.values():
            path = random.choice([path for path in sorted((folder / stage).rglob("*")) if path.is_file()])
            data = bytearray(path.read_bytes())
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
            path.write_bytes(data)
            code, errors = self.run("run", folder)
            assert code == 0, errors
            self.same(folder)
        return {"files": len(STAGES)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lvo", default=".build/release/lvo")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", help="names of parts")
    parser.add_argument("--json")
    options = parser.parse_args()
    random.seed(options.seed)
    results = {}
    with tempfile.TemporaryDirectory() as root:
        campaign = Campaign(os.path.realpath(options.lvo), root)
        parts = [("whole", campaign.whole), ("kill", lambda: campaign.kill(options.rounds)), ("signal", lambda: campaign.signal(options.rounds)),
                 ("processes", campaign.processes), ("shards", campaign.shards), ("damage", campaign.damage)]
        if os.geteuid() == 0:
            parts.append(("disk", campaign.disk))
        for name, part in parts:
            if options.only and name not in ["whole"] + options.only:
                continue
            results[name] = part()
            print(name, json.dumps(results[name]), flush=True)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
