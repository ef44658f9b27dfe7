"""lvo.torch: layers and the U-Net as modules, a recorded run in plain torch, and diffusers' pipeline."""

import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
from support import LAYER, REPOSITORY, fixture, needs, relative_error, unet_folder

import lvo


@needs("torch")
class ModuleTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import torch

        import lvo.torch

        cls.torch = torch
        cls.model = lvo.Model("embedded", threads=2)
        cls.layer = lvo.torch.layer(cls.model, LAYER)
        cls.latent = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(3))

    @classmethod
    def tearDownClass(cls):
        cls.model.close()

    def test_values_and_gradients_are_the_library_s(self):
        latent = self.latent.clone().requires_grad_()
        value = self.layer(latent, 301, prompt="a red circle")
        plain = self.model.layer(LAYER)
        np.testing.assert_array_equal(
            value.detach().numpy(),
            plain.activations(self.latent.numpy(), timestep=301, prompt="a red circle"),
        )
        (3 * value[:, 7]).sum().backward()
        cotangent = np.zeros(value.shape, np.float32)
        cotangent[:, 7] = 3
        expected = plain.gradient(self.latent.numpy(), cotangent, timestep=301, prompt="a red circle")
        np.testing.assert_array_equal(latent.grad.numpy(), expected)

    def test_a_trace_is_kept_only_where_a_gradient_is_wanted(self):
        self.assertFalse(self.layer(self.latent, 301).requires_grad)
        latent = self.latent.clone().requires_grad_()
        with self.torch.no_grad():
            self.assertFalse(self.layer(latent, 301).requires_grad)

    def test_a_graph_that_is_kept_has_gradients_again(self):
        latent = self.latent.clone().requires_grad_()
        value = self.layer(latent, 301).square().mean()
        (first,) = self.torch.autograd.grad(value, latent, retain_graph=True)
        (second,) = self.torch.autograd.grad(value, latent)
        self.assertTrue(self.torch.equal(first, second))
        with self.assertRaisesRegex(RuntimeError, "second time"):
            self.torch.autograd.grad(value, latent)

    def test_gradients_pass_a_check_by_differences(self):
        torch, generator = self.torch, self.torch.Generator().manual_seed(4)
        for module in (self.layer, lvo.torch.unet(self.model)):
            latent = self.latent.double().requires_grad_()
            value = module(latent, self.torch.tensor(301), self.model.encode_prompt("a blue ring"))
            self.assertEqual(value.dtype, torch.float64)
            weights = torch.randn(value.shape, generator=generator, dtype=torch.float64)
            (gradient,) = torch.autograd.grad((weights * value).sum(), latent)
            for _ in range(3):
                direction = torch.randn(latent.shape, generator=generator, dtype=torch.float64)
                ends = [
                    module(latent.detach() + s * 1e-2 * direction, 301, prompt="a blue ring") for s in (1, -1)
                ]
                slope = float((weights * (ends[0] - ends[1])).sum() / 2e-2)
                allowed = 2e-3 * float(gradient.norm() * direction.norm())
                self.assertLess(abs(slope - float((gradient * direction).sum())), allowed)

    def test_what_has_no_gradient_is_refused(self):
        context = self.torch.tensor(self.model.encode_prompt("")).requires_grad_()
        with self.assertRaisesRegex(lvo.InvalidArgument, "context: requires a gradient"):
            self.layer(self.latent, 301, context)
        latent = self.latent.clone().requires_grad_()
        (slope,) = self.torch.autograd.grad(self.layer(latent, 301).sum(), latent, create_graph=True)
        with self.assertRaisesRegex(RuntimeError, "once_differentiable|does not require grad"):
            slope.sum().backward()


@needs("torch", "torchvision")
class RecordedRunTests(unittest.TestCase):
    """Runs of the paper's loop that were recorded with diffusers, written in plain torch over lvo's layer."""

    def test_a_loop_in_plain_torch_repeats_the_recorded_runs_step_by_step(self):
        import torch

        import lvo.torch

        about, recorded = (
            fixture("Visualization", "lvo_runs.json"),
            fixture("Visualization", "lvo_runs.safetensors"),
        )
        self.recorded = {name: torch.from_numpy(value) for name, value in recorded.items()}
        with tempfile.TemporaryDirectory() as folder:
            path = unet_folder(Path(folder) / "unet_a", fixture("Visualization", "unet_a.config.json"))
            with lvo.Model(path, threads=2) as model:
                layer = lvo.torch.layer(model, about["hook"])
                for name, run in about["runs"].items():
                    with self.subTest(name):
                        self.repeat(name, run, layer, model.alphas_cumprod[run["timestep"]])

    def repeat(self, name, run, layer, share):
        import torch

        sys.path.insert(0, str(REPOSITORY / "tools/goldens"))
        from regularizers import moment, range_penalty, roll, sigma, smooth, spectral, total_variation, warp

        z = self.recorded[f"{name}/start"].clone().requires_grad_()
        optimizer = torch.optim.AdamW([z], lr=run["lr"])
        for step, expected in enumerate(run["log"]):
            seen = roll(z, expected["roll"]) if "roll" in expected else z
            if "angle" in expected:
                seen = warp(seen, expected["angle"], expected["scale"])
            if run["noise"]:
                seen = share**0.5 * seen + (1 - share) ** 0.5 * self.recorded[f"{name}/noise/{step}"]
            value = self.objective(layer(seen, run["timestep"], self.recorded["context"]), run)
            loss = -value + run["tv"] * total_variation(z) + run["moment"] * moment(z)
            loss = loss + run["range"] * range_penalty(z, run["range_threshold"])
            optimizer.zero_grad()
            loss.backward()
            if step == 0:
                self.assertLess(relative_error(z.grad, self.recorded[f"{name}/grad0"]), 1e-4)
            if run["spectral"]:
                z.grad = spectral(z.grad)
            z.grad = smooth(z.grad, sigma(step, run["steps"], run["sigma_start"], run["sigma_end"]))
            optimizer.step()
            bound = 1e-3 * max(1, abs(expected["activation"]))
            self.assertLess(abs(value.item() - expected["activation"]), bound, f"activation of step {step}")
            self.assertLess(abs(loss.item() - expected["loss"]), bound, f"loss of step {step}")
        # Total variation's gradient jumps where neighbours are equal, so its run (raw) is off by 1.04e-3; the
        # others by 1e-6.
        self.assertLess(relative_error(z.detach(), self.recorded[f"{name}/latent{run['steps']}"]), 2e-3)

    def objective(self, activation, run):
        rows, feature = activation.flatten(2).transpose(1, 2), run["feature"]
        if not run["encoded"]:
            return rows[..., feature].mean()
        weight, bias = (
            self.recorded["sae/encoder.weight"][feature],
            self.recorded["sae/encoder.bias"][feature],
        )
        return ((rows - self.recorded["sae/b_dec"]) @ weight + bias).relu().mean()


@needs("torch", "diffusers", "transformers")
class DiffusersTests(unittest.TestCase):
    """The embedded model's own files, by diffusers with its U-Net and with lvo's."""

    def test_the_pipeline_draws_the_same_picture(self):
        import torch
        from diffusers import StableDiffusionPipeline

        import lvo.torch

        folder = REPOSITORY / "Sources/Experiments/Resources/shapes"
        pipe = StableDiffusionPipeline.from_pretrained(
            folder, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
        pipe.set_progress_bar_config(disable=True)

        def draw():
            return pipe(
                "a large red circle on a blue background",
                num_inference_steps=10,
                output_type="np",
                generator=torch.Generator().manual_seed(1),
            ).images[0]

        expected = draw()
        with lvo.Model("embedded", threads=2) as model:
            pipe.unet = lvo.torch.diffusers_unet(model)
            found = draw()
            self.assertGreater(-10 * np.log10(((found - expected) ** 2).mean()), 60)
            with self.assertRaisesRegex(lvo.InvalidArgument, "class_labels"):
                pipe.unet(torch.zeros(1, 4, 16, 16), 1, torch.zeros(1, 77, 48), class_labels=1)


if __name__ == "__main__":
    unittest.main()
