"""Models: layers, activations, gradients, replacing, pictures, and what is refused."""

import multiprocessing
import os
import pickle
import tempfile
import threading
import unittest
from pathlib import Path

import numpy as np
from support import LAYER, fixture, relative_error, unet_folder

import lvo


class EmbeddedModelTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = lvo.Model("embedded", threads=2)
        cls.layer = cls.model.layer(LAYER)
        cls.latent = np.random.default_rng(1).standard_normal((2, 4, 16, 16), dtype=np.float32)

    @classmethod
    def tearDownClass(cls):
        cls.model.close()

    def test_layers_are_found_by_name_and_number_and_shown_as_a_table(self):
        layers = self.model.layers
        self.assertEqual(layers[0].name, "conv_in")
        self.assertEqual((self.layer.channels, self.layer.height, self.layer.width), (64, 8, 8))
        self.assertIn(LAYER, layers)
        self.assertTrue(0 < layers[0].cost < self.layer.cost < 1)
        self.assertIn(f"<td>{LAYER}</td>", layers._repr_html_())

    def test_maps_and_tokens_are_the_same_activations(self):
        maps = self.layer.activations(self.latent, timestep=301)
        rows = self.layer.activations(self.latent, timestep=301, tokens=True)
        self.assertEqual(maps.shape, (2, 64, 8, 8))
        np.testing.assert_array_equal(rows, maps.reshape(2, 64, 64).transpose(0, 2, 1))

    def test_several_layers_in_one_pass_are_what_each_is_alone(self):
        names = ["mid_block.attentions.0", LAYER, "conv_in"]
        together = self.model.activations(names, self.latent, timestep=[301, 601], prompt="a red circle")
        self.assertEqual(list(together), names)
        for name, value in together.items():
            alone = self.model.layer(name).activations(
                self.latent, timestep=[301, 601], prompt="a red circle"
            )
            np.testing.assert_array_equal(value, alone)

    def test_other_kinds_of_numbers_and_strides_give_the_same_values(self):
        expected = self.layer.activations(self.latent, timestep=301)
        turned = np.ascontiguousarray(self.latent.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0)
        for latent in (turned, self.latent.astype(np.float64), self.latent.tolist()):
            np.testing.assert_array_equal(self.layer.activations(latent, timestep=301), expected)
        one = self.layer.activations(self.latent[0], timestep=np.float32(301))
        np.testing.assert_array_equal(one, self.layer.activations(self.latent[:1], timestep=301))

    def test_a_context_is_as_good_as_its_prompt(self):
        context = self.model.encode_prompt("a red circle")
        self.assertEqual(context.shape[0], 1)
        np.testing.assert_array_equal(
            self.layer.activations(self.latent, timestep=301, context=context),
            self.layer.activations(self.latent, timestep=301, prompt="a red circle"),
        )

    def test_gradients_are_directional_derivatives(self):
        generator = np.random.default_rng(2)
        for forward in (self.layer.forward, self.model.noise_forward):
            value, vjp = forward(self.latent, timestep=301, prompt="a red circle")
            cotangent = generator.standard_normal(value.shape, dtype=np.float32)
            gradient = vjp(cotangent).astype(np.float64)
            direction = generator.standard_normal(self.latent.shape, dtype=np.float32)
            ends = [
                forward(self.latent + s * 1e-2 * direction, timestep=301, prompt="a red circle")[0]
                for s in (1, -1)
            ]
            slope = ((ends[0].astype(np.float64) - ends[1]) / 2e-2 * cotangent).sum()
            self.assertLess(
                abs(slope - (gradient * direction).sum()),
                2e-3 * np.linalg.norm(gradient) * np.linalg.norm(direction),
            )
        same = self.layer.gradient(self.latent, np.ones((2, 64, 8, 8)), timestep=301)
        with self.layer.forward(self.latent, timestep=301)[1] as vjp:
            np.testing.assert_array_equal(vjp(np.ones((2, 64, 8, 8))), same)

    def test_replacing_an_activation_by_itself_changes_nothing(self):
        noise = self.model.noise(self.latent, timestep=301)
        value = self.layer.activations(self.latent, timestep=301)
        again = self.model.noise(self.latent, timestep=301, replace={self.layer: value})
        self.assertLess(relative_error(again, noise), 1e-6)
        other = self.model.noise(self.latent, timestep=301, replace={LAYER: 0 * value})
        self.assertGreater(relative_error(other, noise), 1e-2)

    def test_pictures_go_to_latents_and_back(self):
        picture = np.full((64, 64, 3), (200, 30, 30), np.uint8)
        latent = self.model.encode(picture)
        self.assertEqual(latent.shape, (1, 4, 16, 16))
        again = np.asarray(self.model.decode(latent)[0])
        self.assertLess(abs(again.astype(float) - picture).mean(), 12)
        np.testing.assert_array_equal(self.model.encode(picture / 255.0), latent)
        np.testing.assert_array_equal(np.asarray(self.model.decode(latent[0])), again)

    def test_two_threads_take_turns(self):
        expected, found = self.layer.activations(self.latent, timestep=301), []

        def work():
            for _ in range(5):
                found.append(self.layer.activations(self.latent, timestep=301))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(found), 15)
        for value in found:
            np.testing.assert_array_equal(value, expected)

    def test_wrong_arguments_raise_with_a_clear_line(self):
        nan = self.latent.copy()
        nan[1, 2, 3, 4] = np.nan
        cases = {
            "shape [2, 3, 16, 16], expected [any, 4, any, any]": dict(latent=self.latent[:, :3]),
            "shape [16, 16], expected": dict(latent=self.latent[0, 0]),
            "type <U1": dict(latent=[["a"]]),
            "type complex": dict(latent=self.latent * 1j),
            "nan": dict(latent=nan),
            "time step 1000": dict(timestep=1000),
            "timestep: 'x'": dict(timestep="x"),
            "context: shape": dict(context=np.zeros((1, 77, 3))),
            "context": dict(context=np.zeros((3, 77, self.model.info["context_width"]))),
        }
        for words, arguments in cases.items():
            with self.subTest(words), self.assertRaises(lvo.InvalidArgument) as raised:
                self.layer.activations(**{"latent": self.latent, "timestep": 301, **arguments})
            self.assertIn(words.lower(), str(raised.exception).lower())
            self.assertNotIn("\n", str(raised.exception))
            self.assertIsInstance(raised.exception, ValueError)
        with self.assertRaisesRegex(lvo.InvalidArgument, "up_blocks.2.attentions.1"):
            self.model.layer("up_blocks.2.attention.1")
        with self.assertRaisesRegex(lvo.InvalidArgument, r"cotangent: shape \[1, 64\]"):
            self.layer.gradient(self.latent, np.zeros((1, 64)), timestep=301)

    def test_a_model_is_not_to_be_pickled(self):
        with self.assertRaisesRegex(TypeError, "cannot be pickled"):
            pickle.dumps(self.model)

    @unittest.skipUnless(hasattr(os, "fork"), "no fork here")
    def test_a_forked_child_gets_an_exception(self):
        def child(connection):
            try:
                self.layer.activations(self.latent, timestep=301)
            except lvo.Forked as problem:
                connection.send(str(problem))

        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=child, args=(there,))
        process.start()
        self.assertTrue(here.poll(30))
        self.assertIn("fork", here.recv())
        process.join()


class OtherModelTests(unittest.TestCase):
    def test_a_missing_model_is_not_found(self):
        with self.assertRaises(lvo.NotFound) as raised:
            lvo.Model("/nowhere/model")
        self.assertIn("/nowhere/model", str(raised.exception))
        self.assertIsInstance(raised.exception, FileNotFoundError)

    def test_a_closed_model_says_so(self):
        with lvo.Model("embedded", threads=1) as model:
            layer = model.layer(LAYER)
            value, vjp = layer.forward(np.zeros((1, 4, 16, 16)), timestep=1)
        for use in (
            lambda: layer.activations(np.zeros((1, 4, 16, 16)), timestep=1),
            lambda: vjp(value),
            model.generate,
        ):
            with self.assertRaises(lvo.Closed):
                use()
        model.close()

    def test_settings_that_do_not_exist_are_named(self):
        with self.assertRaisesRegex(lvo.InvalidArgument, "precision"):
            lvo.Model("embedded", precision="f8")
        with self.assertRaisesRegex(lvo.InvalidArgument, "threads"):
            lvo.Model("embedded", threads=0)

    def test_activations_and_gradients_are_those_of_diffusers(self):
        about, golden = (
            fixture("StableDiffusion", "unet_a.json"),
            fixture("StableDiffusion", "unet_a.safetensors"),
        )
        with tempfile.TemporaryDirectory() as folder:
            path = unet_folder(Path(folder) / "unet_a", about["config"], about["salt"])
            with lvo.Model(path, threads=2) as model:
                sample = dict(timestep=about["timestep"], context=golden["context"])
                self.assertLess(relative_error(model.noise(golden["latent"], **sample), golden["eps"]), 1e-4)
                for name, hook in about["hooks"].items():
                    value, vjp = model.layer(name).forward(golden["latent"], **sample)
                    self.assertLess(relative_error(value.mean((2, 3)), golden[f"{name}/mean"]), 1e-4, name)
                    cotangent = np.zeros_like(value)
                    cotangent[:, hook["channel"]] = -1 / value[:, 0].size
                    self.assertLess(relative_error(vjp(cotangent), golden[f"{name}/grad"]), 1e-4, name)
                with self.assertRaises(lvo.NotFound):
                    model.noise(golden["latent"], timestep=1, prompt="there is no text encoder")


if __name__ == "__main__":
    unittest.main()
