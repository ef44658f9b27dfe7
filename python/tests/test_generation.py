"""Drawing and dreaming: results, steering, recordings, callbacks, and Ctrl-C."""

import _thread
import signal
import threading
import time
import unittest

import numpy as np
from support import LAYER

import lvo

PROMPT = "a large red circle on a blue background"


class DrawingTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = lvo.Model("embedded", sae="embedded", threads=2)
        cls.layer = cls.model.layer(LAYER)
        cls.plain = cls.model.draw(PROMPT, seed=1, steps=8)

    @classmethod
    def tearDownClass(cls):
        cls.model.close()

    def test_a_picture_or_a_list_of_them(self):
        one = self.model.generate(PROMPT, seed=1, steps=8)
        np.testing.assert_array_equal(np.asarray(one), np.asarray(self.plain.pictures[0]))
        self.assertEqual(np.asarray(one).shape, (64, 64, 3))
        several = self.model.draw([PROMPT, "a ring"], seed=[1, 2], steps=2, guidance_scale=1, sampler="ddim")
        self.assertEqual(several.latents.shape, (4, 4, 16, 16))
        self.assertEqual([about["seed"] for about in several.about], [1, 2, 1, 2])

    def test_steering_changes_the_picture_and_strength_zero_does_not(self):
        def latents(**arguments):
            return self.model.draw(PROMPT, seed=1, steps=8, **arguments).latents

        np.testing.assert_array_equal(latents(steer=self.layer.add(0, channel=3)), self.plain.latents)
        sae = lvo.SAE.load("embedded", threads=1)
        edits = [
            self.layer.add(15, feature=201),
            self.layer.clamp(2, feature=201, sae=sae),
            self.layer.scale(3, feature=642),
        ]
        edits += [
            self.layer.add(2, direction=np.ones(64)),
            self.layer.add(5, channel=1, timesteps=(500, 999)),
        ]
        for edit in edits:
            self.assertFalse(np.array_equal(latents(steer=edit), self.plain.latents), edit)
        np.testing.assert_array_equal(
            latents(ablate=(LAYER, 353)), latents(steer=[self.layer.ablate(353, sae=sae)])
        )

    def test_recordings_are_steps_by_channels_or_features(self):
        records = [lvo.Record(LAYER), lvo.Record(LAYER, "features", "maps", (0, 500))]
        drawn = self.model.draw([PROMPT, ""], steps=4, sampler="ddim", record=records)
        means, maps = drawn.recordings[1]
        self.assertEqual(means.values.shape, (4, 64))
        self.assertEqual(maps.values.shape, (int((means.timesteps <= 500).sum()), 64, 768))

    def test_a_picture_to_start_from(self):
        start = np.full((64, 64, 3), 255, np.uint8)
        near = self.model.draw(PROMPT, picture=start, strength=0.1, steps=20)
        self.assertGreater(np.asarray(near.pictures[0]).mean(), np.asarray(self.plain.pictures[0]).mean())

    def test_a_callback_sees_every_step_and_may_stop(self):
        seen = []
        self.model.draw(PROMPT, steps=5, sampler="ddim", callback=lambda step: seen.append(step))
        self.assertEqual([(step.done, step.total) for step in seen], [(n, 5) for n in range(1, 6)])
        self.assertEqual(seen[0].info["prompt"], PROMPT)
        with self.assertRaises(lvo.Cancelled):
            self.model.draw(PROMPT, steps=5, callback=lambda step: step.done == 2)

    def test_an_exception_of_a_callback_comes_out(self):
        for error in (KeyError("mine"), KeyboardInterrupt()):

            def fail(step, error=error):
                raise error

            with self.assertRaises(type(error)) as raised:
                self.model.draw(PROMPT, steps=50, callback=fail)
            self.assertIs(raised.exception, error)
        with self.assertRaisesRegex(lvo.InvalidArgument, "at work"):
            self.model.draw(PROMPT, steps=2, callback=lambda step: self.model.encode_prompt("from within"))

    def test_an_interrupt_stops_at_the_next_step(self):
        # A process that was started in the background ignores interrupts.
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, previous)
        started = threading.Event()
        threading.Thread(target=lambda: (started.wait(30), _thread.interrupt_main())).start()
        with self.assertRaises(KeyboardInterrupt):
            self.model.draw(PROMPT, steps=999, seed=range(100), callback=lambda step: started.set())
        self.assertEqual(self.model.draw(PROMPT, steps=1).latents.shape, (1, 4, 16, 16))

    def test_another_thread_can_cancel(self):
        started, raised = threading.Event(), []

        def work():
            try:
                self.model.draw(PROMPT, steps=999, seed=range(100), callback=lambda step: started.set())
            except lvo.Cancelled as problem:
                raised.append(problem)

        thread = threading.Thread(target=work)
        thread.start()
        self.assertTrue(started.wait(30))
        while thread.is_alive():
            self.model.cancel()
            time.sleep(0.01)
        self.assertEqual(len(raised), 1)

    def test_bad_settings_are_named(self):
        cases = [
            ("sampler", dict(sampler="none")),
            ("steps", dict(steps=0)),
            ("picture: shape", dict(picture=np.zeros((3, 3)))),
            ("lvo.Steer", dict(steer=[("a", 1)])),
            ("9999", dict(steer=self.layer.ablate(9999))),
        ]
        for words, arguments in cases:
            with self.subTest(words), self.assertRaisesRegex(lvo.InvalidArgument, words):
                self.model.draw(PROMPT, **{"steps": 2, **arguments})


class DreamTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = lvo.Model("embedded", threads=2)
        cls.layer = cls.model.layer(LAYER)
        cls.sae = lvo.SAE.load("embedded", threads=1)

    @classmethod
    def tearDownClass(cls):
        cls.model.close()

    def test_a_dream_raises_a_feature(self):
        seen = []
        dream = self.layer.dream(
            feature=570,
            sae=self.sae,
            timestep=301,
            preset="tuned",
            seed=[1, 2],
            steps=15,
            every=5,
            callback=seen.append,
        )
        self.assertEqual(dream.latents.shape, (2, 4, 16, 16))
        self.assertEqual(dream.activations.shape, (2, 15))
        self.assertEqual(len(dream.pictures), 2)
        self.assertGreater(dream.record["final_activation"], dream.record["start_activation"])
        self.assertEqual(dream.settings["steps"], 15)
        self.assertEqual(seen[-1].done, seen[-1].total)
        steps, latents = dream.snapshots[0]
        np.testing.assert_array_equal(steps, [0, 5, 10, 15])
        np.testing.assert_array_equal(latents[-1], dream.latents)
        self.assertEqual(dream._repr_html_().count("data:image/png"), 2)

    def test_channels_directions_and_sums_can_be_sought(self):
        settings = dict(timestep=[301, 601], preset="raw", seed=1, steps=2, decode=False)
        self.assertEqual(len(self.layer.dream(channel=[3, 4], **settings).latents), 4)
        along = self.layer.dream(direction=np.eye(64)[3], **settings)
        self.assertEqual(along.latents.shape, (2, 4, 16, 16))
        both = self.layer.dream(
            objective=[{"feature": 570, "sae": self.sae}, {"channel": 3, "weight": -1.0}],
            start=along.latents,
            **settings,
        )
        self.assertEqual(both.latents.shape, (2, 4, 16, 16))
        self.assertIn("<code>", both._repr_html_())

    def test_bad_requests_are_named(self):
        with self.assertRaisesRegex(lvo.InvalidArgument, "one of feature, channel"):
            self.layer.dream(timestep=301)
        with self.assertRaisesRegex(lvo.InvalidArgument, "learning_speed"):
            self.layer.dream(channel=1, timestep=301, learning_speed=2)


if __name__ == "__main__":
    unittest.main()
